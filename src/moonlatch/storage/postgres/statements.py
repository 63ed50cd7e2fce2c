"""Turns named portable SQL into PostgreSQL's: `:name` into `$1`, one question or statement into many. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from moonlatch.storage.interface import StorageError, numbered, parameter_names

_KEPT_STATEMENTS = 1024
_ONLY_HERE = re.compile(r"/\*postgres (.*?)\*/")
"""What other engines take for a comment."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with numbered parameters, and their names in that order."""

    sql: str
    names: tuple[str, ...]

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The values in order. Raises StorageError when one is missing."""
        try:
            return [parameters[name] for name in self.names]
        except KeyError as missing:
            raise StorageError(f"there is no value for the parameter {missing}") from None


@lru_cache(_KEPT_STATEMENTS)
def translated(sql: str) -> Statement:
    """The statement for this SQL; made once."""
    return Statement(numbered(_ONLY_HERE.sub(r"\1", sql), "$"), parameter_names(sql))


def asked_many_times(sql: str, types: Sequence[str]) -> str:
    """The same question asked many times in one statement, whose parameters are arrays; `types` are the elements'.

    Gives the first row of each answer, and behind its columns the number of its question, from 1.
    """
    columns = "".join(f"a{number}, " for number, _ in enumerate(types, 1))
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, 1))
    return (
        f"select answer.*, asked.nth from unnest({arrays}) with ordinality as asked({columns}nth) "  # noqa: S608 -- our own query
        f"cross join lateral (select * from ({numbered(sql, 'asked.a')}) one limit 1) answer"
    )


@lru_cache(_KEPT_STATEMENTS)
def counting(sql: str) -> str:
    """A statement without result rows that gives its last parameter, an integer, once for each row it changes."""
    return f"{numbered(sql, '$')} returning ${len(parameter_names(sql)) + 1}::int"


def transposed(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Lists of arguments as one list for each parameter."""
    return [list(column) for column in zip(*rows, strict=True)]
