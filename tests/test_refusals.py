"""Every refusal that a running script may be told is on the protocol's page, has a status, and is provoked by a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from moonlatch.client.replies import STATUS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/reference/client-protocol.md").read_text()
TABLE = PAGE[PAGE.index("\n## Refusals\n") :]
PLACES = ("client", "jobs", "licensing", "live", "operations")
TESTED_IN = ("checkpoints", "client", "end_to_end", "licensing", "live", "management")


def codes_in(source: str) -> Iterator[str]:
    """The codes of the refusals that this source makes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal" and node.args:
            code = node.args[0]
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                yield code.value


def test_the_page_has_every_refusal_with_its_status_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d+)", TABLE, re.MULTILINE))
    assert {code: int(status) for code, status in rows.items()} == STATUS


def test_every_refusal_that_the_program_makes_has_a_status_and_there_is_no_other() -> None:
    files = [file for place in PLACES for file in (ROOT / "src/moonlatch" / place).rglob("*.py")]
    codes = {code for file in files for code in codes_in(file.read_text())}
    assert len(codes) > 15
    assert codes == set(STATUS)


@pytest.mark.parametrize("code", sorted(STATUS))
def test_every_refusal_is_expected_by_a_test(code: str) -> None:
    expected = re.compile(rf"\b{code}\b")
    tests = (file for place in TESTED_IN for file in (ROOT / "tests" / place).rglob("test_*.py"))
    assert any(expected.search(file.read_text()) for file in tests)
