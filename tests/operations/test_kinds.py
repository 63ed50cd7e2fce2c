"""Every kind of event is described, in the program and on its page."""

from __future__ import annotations

import re
from pathlib import Path

from moonlatch.operations.kinds import DESCRIPTIONS, EventKind

PAGE = (Path(__file__).parents[2] / "docs/reference/events.md").read_text()


def test_every_kind_is_described() -> None:
    assert set(DESCRIPTIONS) == set(EventKind)


def test_the_page_has_every_kind_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert rows == DESCRIPTIONS
