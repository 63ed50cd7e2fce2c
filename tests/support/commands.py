"""The command line as a function, for tests: what it prints and its exit status."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from moonlatch.cli import main


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, read as JSON."""
        return json.loads(self.out)


class Command:
    """`moonlatch ...`, run in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        printed = self._capsys.readouterr()
        return Ended(int(end.value.code or 0), printed.out, printed.err)
