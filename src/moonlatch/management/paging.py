"""Pages of lists: where one starts and how much it holds, in a body or in a query."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from moonlatch.management.fields import MAX_COUNT, Closed, Integral

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000

_INTEGER = re.compile(r"-?[0-9]{1,20}")


def _integer(text: Any) -> Any:
    """A query's number; other spellings that `int` would take (`1_000`, ` 5`) stay text and are refused."""
    return int(text) if isinstance(text, str) and _INTEGER.fullmatch(text) else text


def _boolean(text: Any) -> Any:
    return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text


def empty_is_absent(text: Any) -> Any:
    """In a query `name=` says nothing, like leaving `name` out."""
    return None if text == "" else text


QueryInteger = BeforeValidator(_integer)
QueryBoolean = BeforeValidator(_boolean)


class _EmptyIsAbsent:
    """`empty_is_absent` for a field that may be null; says so in the documentation too."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(empty_is_absent, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described = handler(schema)
        return {**described, "anyOf": [*described["anyOf"], {"type": "string", "maxLength": 0}]}


EmptyIsAbsent = _EmptyIsAbsent()


Start = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Size = Annotated[int, Field(ge=1, le=MAX_LIMIT)]


class Page(Closed):
    """Which part of a list is asked for, however it was asked."""

    from_: Annotated[Start | None, Field(alias="from")] = None
    limit: Size | None = None

    @property
    def offset(self) -> int:
        return self.from_ or 0

    @property
    def size(self) -> int:
        return DEFAULT_LIMIT if self.limit is None else self.limit


class PageBody(Page):
    """A page asked for in a body."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"from": 0, "limit": 50}]})

    from_: Annotated[Start | None, Integral, Field(alias="from", description="start index, default 0")] = None
    limit: Annotated[Size | None, Integral, Field(description="how many, default 50")] = None


class PageQuery(Page):
    """A page asked for in a query."""

    from_: Annotated[
        Start | None, EmptyIsAbsent, QueryInteger, Field(alias="from", description="start index, default 0")
    ] = None
    limit: Annotated[Size | None, EmptyIsAbsent, QueryInteger, Field(description="how many, default 50")] = None
