"""Runs commands of the real command line inside the test process, in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.commands import Command


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("MOONLATCH_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def moonlatch(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)
