"""Migrations that need more than SQL: rows are read, made anew in Python and written back, some at a time, each batch its own commit.

Whatever interrupts it, the next run goes on where the rows are still of before. Runs nothing; each engine does that its own way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moonlatch.keyring import Keyring
from moonlatch.master_key import MasterKeySource
from moonlatch.storage.interface import StorageError, parameter_names

ROWS_AT_ONCE = 500
"""Per commit: some 20 ms, so that others who write do not wait for long."""

_TOLD_ROWS = 50_000

logger = logging.getLogger(__name__)

Row = tuple[Any, ...]
MasterKey = Callable[[], Keyring]
"""Gives the installation's keys, once they are needed. Raises StorageError."""

Told = Callable[[str, int, int], None]
"""Hears of each batch: what is rewritten, how many of them are, and how many there are in all."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Rows of one table, and what becomes of each.

    `select` gives at most `:most` rows behind a place (its parameters before `:most`) that are left, in order; `place` names the
    columns of a row that are its place. `made` gives the values of `update`, in the order of its parameters.
    """

    table: str
    what: str
    """As a person calls the rows."""
    count: str
    select: str
    place: tuple[str, ...]
    update: str
    made: Callable[[Keyring, Row], Row]
    _columns: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        listed = [name.strip() for name in self.select.removeprefix("select ").partition(" from ")[0].split(",")]
        object.__setattr__(self, "_columns", tuple(listed.index(name) for name in self.place))
        assert len(parameter_names(self.select)) == len(self.place) + 1

    @property
    def before_all(self) -> Row:
        return ("",) * len(self.place)

    def place_of(self, row: Row) -> Row:
        return tuple(row[column] for column in self._columns)


def master_key_in(data_dir: Path) -> MasterKey:
    """As `master_key_from`, of a data folder's `master.key`."""
    return master_key_from(MasterKeySource(data_dir))


def master_key_from(source: MasterKeySource) -> MasterKey:
    """The keys of an installation, whose master key is not made where it is missing."""

    def opened() -> Keyring:
        try:
            return source.open(create=False)
        except FileNotFoundError:
            raise StorageError(
                f"the keys of users are to be sealed with the master key, and {source.place} is not there: "
                "put it back, or copy it from the machine that has it"
            ) from None
        except (OSError, ValueError) as error:
            raise StorageError(
                f"the keys of users are to be sealed with the master key, and that cannot be read: {error}"
            ) from None

    return opened


def no_master_key() -> Keyring:
    """For databases that have nothing yet that needs one. Raises StorageError."""
    raise StorageError("the keys of users are to be sealed with the master key; run `moonlatch migrate` where it is")


def require_same(keyring: Keyring, known_check: bytes | None) -> None:
    """Raise StorageError for the master key of other data: what it sealed could never be opened."""
    if known_check is not None and bytes(known_check) not in keyring:
        raise StorageError("this master key is not the one that the data belongs to; nothing was sealed with it")


def log_progress(what: str, done: int, rows: int) -> None:
    """Tell the log now and then."""
    if done == rows or done // _TOLD_ROWS != (done - ROWS_AT_ONCE) // _TOLD_ROWS:
        logger.info("sealing keys: %d of %d %s", done, rows, what)
