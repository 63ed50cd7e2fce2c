"""Request fields that are times: Unix milliseconds, never another unit. Knows no resource.

A time in seconds lies in January 1970 when it is read as milliseconds, and a customer with it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema
from pydantic_core.core_schema import ValidationInfo, with_info_plain_validator_function

from moonlatch.clock import DAY_MS, MAX_TIME_MS, MIN_TIME_MS, MINUTE_MS, SECOND_MS
from moonlatch.licensing.key import has_passed
from moonlatch.management.fields import integral

NOW_MS = "now_ms"
"""What `Moment` finds the current time under, in the context of a validation."""

_DIGITS = re.compile(r"[1-9][0-9]{0,19}")
_EARLIEST_IN_SECONDS = MIN_TIME_MS // 1000


class Moment:
    """A time in Unix milliseconds. `future` refuses what has passed, `digits` takes text too, `clearable` takes `""`."""

    def __init__(self, *, future: bool = False, digits: bool = False, clearable: bool = False) -> None:
        self._future = future
        self._digits = digits
        self._clearable = clearable

    def _check(self, value: Any, info: ValidationInfo) -> Any:
        if value == "" and self._clearable:
            return value
        if self._digits and isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        value = integral(value)
        if isinstance(value, bool) or not isinstance(value, int):
            # pydantic reports ValueError only.
            raise ValueError(f"must be a time in Unix milliseconds{self._other_forms()}")  # noqa: TRY004
        if not MIN_TIME_MS <= value <= MAX_TIME_MS:
            raise ValueError(
                f"must be a time in Unix milliseconds, between {MIN_TIME_MS} and {MAX_TIME_MS}{_what_it_may_be(value)}"
                + (' ("" for none)' if self._clearable and value == 0 else "")
            )
        if self._future:
            assert info.context is not None  # given by `JsonBody`
            if has_passed(value, info.context[NOW_MS]):
                raise ValueError("must be in the future")
        return value

    def _other_forms(self) -> str:
        if self._clearable:
            return ', null or ""'
        return ", as a number or its digits, or null" if self._digits else " or null"

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = {"type": "integer", "minimum": MIN_TIME_MS, "maximum": MAX_TIME_MS}
        if self._digits:
            return {"anyOf": [number, {"type": "string", "pattern": "^[1-9][0-9]{11,13}$"}]}
        return {"anyOf": [number, {"type": "string", "const": ""}]} if self._clearable else number


def _what_it_may_be(value: int) -> str:
    if _EARLIEST_IN_SECONDS <= value < MIN_TIME_MS:
        return f"; {value} looks like seconds, which would be {value * SECOND_MS}"
    if MIN_TIME_MS * 1000 <= value <= MAX_TIME_MS * 1000:
        return f"; {value} looks like microseconds, which would be {value // 1000}"
    return ""


class _Cooldown:
    """A length of time in milliseconds; most that are meant in seconds are told from it."""

    def _check(self, value: Any, _info: ValidationInfo) -> int:
        value = integral(value)
        if isinstance(value, bool) or not isinstance(value, int):
            # pydantic reports ValueError only.
            raise ValueError("must be a number of milliseconds or null")  # noqa: TRY004
        if value != 0 and not MINUTE_MS <= value <= MAX_TIME_MS:
            raise ValueError(f"must be 0 or between {MINUTE_MS} and {MAX_TIME_MS} milliseconds")
        if value % SECOND_MS:
            raise ValueError(f"must be whole seconds, in milliseconds: a day is {DAY_MS}")
        return value

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = {"type": "integer", "maximum": MAX_TIME_MS // SECOND_MS * SECOND_MS, "multipleOf": SECOND_MS}
        return {"anyOf": [{**number, "minimum": MINUTE_MS}, {"type": "integer", "const": 0}]}


FutureMs = Annotated[int, Moment(future=True)]
MsOrDigits = Annotated[int, Moment(digits=True)]
FutureMsOrDigits = Annotated[int, Moment(future=True, digits=True)]
ClearableTime = Annotated[int | Literal[""], Moment(clearable=True)]
CooldownMs = Annotated[int, _Cooldown()]
