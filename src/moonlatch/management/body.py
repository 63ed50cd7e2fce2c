"""Reading a JSON body: bounded before it is parsed, validated as a dependency so that ownership is checked first."""

# No postponed annotations: FastAPI cannot resolve them on a callable object.
import asyncio
import json
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ValidationError

from moonlatch.errors import invalid_field, invalid_fields, not_json, too_large
from moonlatch.json_bounds import MAX_DEPTH, MAX_VALUES, SMALL_BYTES, decode, has_too_many_values, is_too_deep
from moonlatch.management.backend import backend_of
from moonlatch.management.envelope import failed_fields
from moonlatch.management.large_body import read_members
from moonlatch.management.times import NOW_MS

M = TypeVar("M", bound=BaseModel)

MAX_FIELDS = 100
MAX_STRUCTURED_BYTES = 1024 * 1024
"""Above this size a body may only hold text and numbers: parsing millions of lists would hold up everybody else."""


class JsonBody(Generic[M]):
    """A dependency that gives the body as `model`. Declared after the ownership dependency, it runs after it.

    An empty body counts as `{}`: what is missing is then named field by field. `limit` gives the most bytes for this
    request; without one it is 1 MiB, or the configured limit where that is less.
    """

    def __init__(self, model: type[M], *, limit: Callable[[Request], int] | None = None) -> None:
        self.model = model
        self._limit = limit

    async def __call__(self, request: Request) -> M:
        limit = _ordinary_limit(request) if self._limit is None else self._limit(request)
        raw = await read_bounded(request, limit)
        value: dict[str, Any] = {}
        if raw:
            _require_json(request)
            value = await self.parse(raw)
        try:
            valid = self.model.model_validate(value, context={NOW_MS: backend_of(request).clock()})
        except ValidationError as error:
            raise invalid_fields(failed_fields(error.errors(include_url=False, include_input=False))) from None
        if len(raw) > SMALL_BYTES:
            await _let_others()
        return valid

    async def parse(self, raw: bytes) -> dict[str, Any]:
        """The object that a body holds, not yet validated. Raises ApiError naming `body`."""
        try:
            value = await self._load(raw)
        except RecursionError:
            raise invalid_field("body", f"is nested deeper than {MAX_DEPTH} levels") from None
        except ValueError as error:
            raise invalid_field("body", f"is not valid JSON: {_reason(error)}") from None
        if not isinstance(value, dict):
            raise invalid_field("body", "must be a JSON object")
        if len(value) > MAX_FIELDS:
            raise invalid_field("body", f"has more than {MAX_FIELDS} fields")
        if is_too_deep(value):
            raise invalid_field("body", f"is nested deeper than {MAX_DEPTH} levels")
        if len(raw) > SMALL_BYTES:
            await _let_others()
        # A name that cannot be encoded would hide every other error; as a readable one it is just unknown.
        return {name.encode(errors="replace").decode(): item for name, item in value.items()}

    async def _load(self, raw: bytes) -> Any:
        if len(raw) > MAX_STRUCTURED_BYTES:
            return await read_members(raw, self.model.model_fields)
        if has_too_many_values(raw):
            raise invalid_field("body", f"has more than {MAX_VALUES} values; divide it")
        return await _load(raw)


def _ordinary_limit(request: Request) -> int:
    return min(backend_of(request).max_body_bytes, MAX_STRUCTURED_BYTES)


async def read_bounded(request: Request, limit: int) -> bytes:
    """The whole body. Raises ApiError 413 as soon as it has more bytes than the limit."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _require_json(request: Request) -> None:
    media_type, _, _ = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise not_json()


async def _load(raw: bytes) -> Any:
    # msgspec takes a fifth of the time, in which nobody else is answered: a script of 1 MB holds them up. Of what it refuses,
    # the standard library gives the better account, and it passes lone surrogates on to where the field is named.
    if len(raw) > SMALL_BYTES:
        await _let_others()
    try:
        return decode(raw)
    except (msgspec.MsgspecError, ValueError):
        if len(raw) > SMALL_BYTES:
            await _let_others()
        return json.loads(raw.decode(), parse_constant=_no_constant)


async def _let_others() -> None:
    """What was done and what comes each hold up everybody else: let them go between."""
    await asyncio.sleep(0)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return str(error)
