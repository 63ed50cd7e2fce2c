"""Reads a JSON object that is as large as a script may be: step by step, so that others have their turn between.

It holds texts and single values only; what a list or an object in it holds is not looked at. Its texts are decoded as JSON (RFC 8259) is.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Container
from typing import Any

import msgspec

from moonlatch.errors import invalid_field
from moonlatch.json_bounds import decode

STEP_BYTES = 128 * 1024
"""As much as is read at once."""

_SPACE = re.compile(rb"[ \t\n\r]*+")
_NAME = re.compile(rb'"([^"\\\x00-\x1f]{0,100})"')
_VALUE = re.compile(rb"[-+0-9.eE]{1,400}|true|false|null")
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
# Whole characters only: an escape that a step would cut belongs to the next one, and a surrogate to its other half.
_TEXT = re.compile(
    rb'(?:[^"\\\x00-\x1f]++'
    rb'|\\(?:["\\/bfnrt]|u(?:[dD][0-7][0-9a-fA-F]{2}|[0-9a-cA-CeEfF][0-9a-fA-F]{3}'
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})))*+"
)


async def read_members(raw: bytes, names: Container[str]) -> dict[str, Any]:
    """The members, which may have these names. A list or an object is an empty one, and ends the reading: it is in the wrong place.

    Raises ApiError that names `body` or a member; ValueError for what is not JSON.
    """
    members: dict[str, Any] = {}
    at = await _expect(raw, 0, b"{")
    at = await _space(raw, at)
    if raw[at : at + 1] != b"}":
        while True:
            name, at = _name(raw, at, names)
            at = await _space(raw, await _expect(raw, at, b":"))
            if raw[at : at + 1] in (b"[", b"{"):
                return {**members, name: [] if raw[at] == ord("[") else {}}
            members[name], at = await _text(raw, at, name) if raw[at : at + 1] == b'"' else _single(raw, at)
            at = await _space(raw, at)
            if raw[at : at + 1] != b",":
                break
            at = await _space(raw, at + 1)
    at = await _space(raw, await _expect(raw, at, b"}"))
    if at < len(raw):
        raise _broken("Extra data", at)
    return members


async def _space(raw: bytes, at: int) -> int:
    while True:
        match = _SPACE.match(raw, at, at + STEP_BYTES)
        assert match is not None
        if match.end() < at + STEP_BYTES:
            return match.end()
        at = match.end()
        await asyncio.sleep(0)


async def _expect(raw: bytes, at: int, character: bytes) -> int:
    at = await _space(raw, at)
    if raw[at : at + 1] != character:
        raise _broken(f"Expecting '{character.decode()}'", at)
    return at + 1


def _name(raw: bytes, at: int, names: Container[str]) -> tuple[str, int]:
    match = _NAME.match(raw, at)
    if match is None:
        raise _broken("Expecting the name of a field", at)
    name = match[1].decode(errors="replace")
    if name not in names:
        raise invalid_field("body", f"Object contains unknown field `{name}`")
    return name, match.end()


def _single(raw: bytes, at: int) -> tuple[Any, int]:
    match = _VALUE.match(raw, at)
    if match is None:
        raise _broken("Expecting value", at)
    try:
        return decode(match[0]), match.end()
    except msgspec.MsgspecError:
        return json.loads(match[0]), match.end()


async def _text(raw: bytes, at: int, name: str) -> tuple[str, int]:
    pieces = []
    at += 1
    while raw[at : at + 1] != b'"':
        match = _TEXT.match(raw, at, at + STEP_BYTES)
        assert match is not None
        end = match.end()
        if end == at + STEP_BYTES:
            while raw[end - 1] & 0x80 and raw[end : end + 1] and raw[end] & 0xC0 == 0x80:  # inside of a character
                end -= 1
        if end <= at:
            if _LONE_SURROGATE.match(raw, at):
                raise invalid_field(name, "must not contain lone surrogates")
            raise _broken("Invalid text", at)
        try:
            pieces.append(msgspec.json.decode(b'"%s"' % raw[at:end], type=str))
        except UnicodeDecodeError as error:
            raise ValueError(f"byte {at + error.start} is not UTF-8") from None
        at = end
        await asyncio.sleep(0)
    return "".join(pieces), at + 1


def _broken(what: str, at: int) -> ValueError:
    return ValueError(f"{what}: byte {at}")
