"""What a killed server left in its data folder, and settings under which nobody is slowed down."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from support.crash import assert_sound

NO_LIMITS = {
    "MOONLATCH_MANAGEMENT__REQUESTS_PER_SECOND": "100000",
    "MOONLATCH_MANAGEMENT__BURST": "100000",
    "MOONLATCH_CLIENT__EXECUTES_PER_SECOND_PER_ADDRESS": "0",
}


class SqliteData:
    """The file that a dead server left."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "moonlatch.db"

    async def settle(self) -> None:
        assert_sound(self._path)

    async def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(sql, parameters).fetchall()

    async def break_too(self) -> None:
        """The file's own faults have tests of their own."""
