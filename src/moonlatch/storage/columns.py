"""A noun's columns, written once: as the fields of its record. Makes the parts of statements and reads rows; runs nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeVar, get_type_hints

import msgspec

from moonlatch.storage.interface import Row

R = TypeVar("R", bound=msgspec.Struct)


def columns_of(record: type[msgspec.Struct], *, without: Collection[str] = ()) -> tuple[str, ...]:
    """The names of a record's fields, which are those of its table's columns, in their order."""
    return tuple(name for name in record.__struct_fields__ if name not in without)


def listed(columns: Iterable[str], *, of: str = "") -> str:
    """For a `select` or `insert`: `id, name`, or `s.id, s.name` of the table that is called `s`."""
    return ", ".join(f"{of}.{name}" if of else name for name in columns)


def placed(columns: Iterable[str]) -> str:
    """For the `values` of an `insert`: `:id, :name`."""
    return ", ".join(f":{name}" for name in columns)


def assigned(columns: Iterable[str]) -> str:
    """For an `update`: `name = :name, enabled = :enabled`."""
    return ", ".join(f"{name} = :{name}" for name in columns)


def flags_of(record: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields that are true or false; SQLite keeps 0 or 1 of them."""
    hints = get_type_hints(record)
    return tuple(name for name in record.__struct_fields__ if hints[name] is bool)


def blobs_of(record: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields that are bytes, or may be; a driver may give another kind of buffer for them."""
    hints = get_type_hints(record)
    return tuple(name for name in record.__struct_fields__ if hints[name] in {bytes, bytes | None})


def values_of(record: type[R], row: Row, *, flags: Iterable[str] = (), blobs: Iterable[str] = ()) -> dict[str, Any]:
    """The values of a row that has a record's columns in their order, by name."""
    values: dict[str, Any] = dict(zip(record.__struct_fields__, row, strict=True))
    for name in flags:
        values[name] = bool(values[name])
    for name in blobs:
        if values[name] is not None:
            values[name] = bytes(values[name])
    return values
