"""The types of request fields: closed models, bounded strings and numbers, and what `""` means. Knows no resource."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    HttpUrl,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function, no_info_plain_validator_function

from moonlatch.licensing.discord import discord_user_id, is_id
from moonlatch.licensing.key import MAX_KEY_DAYS
from moonlatch.obfuscator.engine_name import EngineName
from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.target import Target

MAX_EXACT_INTEGER = 2**53
MAX_COUNT = 1_000_000_000
MAX_DEVICES = 100
"""Devices that one key may be bound to."""

MAX_HOURS = 8_760
"""A year."""


_HTTP_URL = TypeAdapter(HttpUrl)
_MAX_URL = 2048


def clean_text(text: str) -> str:
    """Refuse what neither the database nor a client can be trusted to carry."""
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("must not contain lone surrogates") from None
    return text


def _check_url(text: str) -> str:
    if text:
        try:
            _HTTP_URL.validate_python(text)
        except ValidationError:
            raise ValueError("must be an http:// or https:// URL") from None
    return text


def check_json(value: Any) -> Any:
    """Refuse JSON that would not arrive as it was sent: inexact numbers, NUL characters and lone surrogates."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            clean_text(item)
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, float):
            if not math.isfinite(item):
                raise ValueError("must not contain numbers too large for JSON")
        elif isinstance(item, int) and abs(item) > MAX_EXACT_INTEGER:
            raise ValueError("must not contain integers beyond 2^53; send them as strings")
    return value


class Closed(BaseModel):
    """A request or reply without unknown fields; types are strict."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)


class Empty(Closed):
    """A body without fields; it may be left out."""


class Edit(Closed):
    """A partial change: a field left out or null stays as it is, `""` sets a nullable one to null."""

    def changes(self) -> dict[str, Any]:
        """The new values by name; empty when nothing is to change."""
        return {name: None if value == "" else value for name, value in self if value is not None}


def _clearable(minimum: int, maximum: int) -> Any:
    def check(value: Any) -> Any:
        if value is None or value == "":
            return value
        value = integral(value)
        if isinstance(value, bool) or not isinstance(value, int):
            # pydantic reports ValueError only.
            raise ValueError('must be an integer, null or ""')  # noqa: TRY004
        if not minimum <= value <= maximum:
            raise ValueError(f"must be between {minimum} and {maximum}")
        return value

    return check


def _clearable_schema(minimum: int, maximum: int) -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "integer", "minimum": minimum, "maximum": maximum},
            {"type": "string", "const": ""},
            {"type": "null"},
        ]
    }


def integral(value: Any) -> Any:
    """JSON knows one kind of number, and Lua writes 5 as 5.0: a whole one is an integer however it is written."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _CleanText:
    """Text as `clean_text` has it; says so in the documentation, as far as a pattern can."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(clean_text, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"pattern": "^[^\\u0000]*$", **handler(schema)}


class OneOf:
    """Text that is one of these, in the documentation too; `clearable` takes `""` as well."""

    def __init__(self, choices: Iterable[str], *, clearable: bool = False) -> None:
        self._choices = (*choices, *([""] if clearable else []))

    def _check(self, text: str) -> str:
        if text not in self._choices:
            raise ValueError("must be one of: " + ", ".join(choice or '""' for choice in self._choices))
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self._choices)}


def _check_snowflake(text: str) -> str:
    if text and not is_id(text):
        raise ValueError("must be an id of Discord's: its digits, like 123456789012345678")
    return text


class _DiscordId:
    """A Discord user id in its one spelling, as `discord_user_id` has it; `clearable` takes `""` as well."""

    def __init__(self, *, clearable: bool = False) -> None:
        self._clearable = clearable

    def _check(self, value: Any) -> str:
        if value == "" and self._clearable:
            return ""
        if not isinstance(value, str):
            # pydantic reports ValueError only.
            raise ValueError("must be a string of digits: a JSON number may lose the last of them")  # noqa: TRY004
        return discord_user_id(value)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        digits = "[1-9][0-9]{0,18}"
        mention = f"{digits}|<@!?{digits}>"
        return {"type": "string", "pattern": f"^({mention}|)$" if self._clearable else f"^({mention})$"}


Clean = _CleanText()
Integral = BeforeValidator(integral)
Name = Annotated[str, Field(min_length=1, max_length=100), Clean]
Snowflake = Annotated[
    str, Field(min_length=1, max_length=20, pattern=r"^[1-9][0-9]{0,19}$"), AfterValidator(_check_snowflake)
]
ClearableSnowflake = Annotated[
    str, Field(max_length=20, pattern=r"^([1-9][0-9]{0,19})?$"), AfterValidator(_check_snowflake)
]
ClearableNote = Annotated[str, Field(max_length=255), Clean]
DiscordId = Annotated[str, _DiscordId()]
ClearableDiscordId = Annotated[str, _DiscordId(clearable=True)]
Note = Annotated[str, Field(min_length=1, max_length=255), Clean]
ClearableUrl = Annotated[str, Field(max_length=_MAX_URL), Clean, AfterValidator(_check_url)]
BlacklistReason = Annotated[str, Field(min_length=1, max_length=255), Clean]
Id = Annotated[str, Field(min_length=1, max_length=64), Clean]
NewKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
PartOfKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{3,64}$")]
Days = Annotated[int, Field(ge=1, le=MAX_KEY_DAYS), Integral]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT), Integral]
ProfileName = Annotated[str, OneOf(PROFILES)]
TargetName = Annotated[str, OneOf(Target)]
Engine = Annotated[str, OneOf(EngineName)]
ClearableProfile = Annotated[str, OneOf(PROFILES, clearable=True)]
ClearableTarget = Annotated[str, OneOf(Target, clearable=True)]
ClearableEngine = Annotated[str, OneOf(EngineName, clearable=True)]
Json = Annotated[Any, AfterValidator(check_json)]

ClearableDays = Annotated[
    int | Literal[""] | None,
    PlainValidator(_clearable(1, MAX_KEY_DAYS)),
    WithJsonSchema(_clearable_schema(1, MAX_KEY_DAYS)),
]
MaxDevices = Annotated[int, Field(ge=1, le=MAX_DEVICES), Integral]
ClearableDevices = Annotated[
    int | Literal[""] | None,
    PlainValidator(_clearable(1, MAX_DEVICES)),
    WithJsonSchema(_clearable_schema(1, MAX_DEVICES)),
]
DeviceId = Annotated[str, Field(pattern=r"^([0-9a-f]{2}){1,64}$")]
DeviceName = Annotated[str, Field(max_length=100), Clean]
ClearableLimit = Annotated[
    int | Literal[""] | None, PlainValidator(_clearable(0, MAX_COUNT)), WithJsonSchema(_clearable_schema(0, MAX_COUNT))
]
ClearableHours = Annotated[
    int | Literal[""] | None, PlainValidator(_clearable(1, MAX_HOURS)), WithJsonSchema(_clearable_schema(1, MAX_HOURS))
]
ClearableCount = Annotated[
    int | Literal[""] | None, PlainValidator(_clearable(1, MAX_COUNT)), WithJsonSchema(_clearable_schema(1, MAX_COUNT))
]
