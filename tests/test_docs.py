"""Documentation cannot rot: links lead somewhere, and nothing private to a machine is written down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]+\]\((?!https?://|mailto:)([^)#\s]*)(#[^)\s]*)?\)")


def heading_anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+\s+(.+?)\s*$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(page.read_text()):
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor[1:] not in heading_anchors(file)):
            broken.append(target + anchor)
    assert broken == []


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs/why/README.md").read_text()
    pages = {page.name for page in (ROOT / "docs/why").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def test_every_dependency_says_what_it_is_for() -> None:
    page = (ROOT / "docs/why/libraries.md").read_text().lower()
    names = [
        line.strip()
        for file in ("base.in", "try.in", "dev.in")
        for line in (ROOT / "requirements" / file).read_text().splitlines()
        if line.strip() and not line.startswith(("#", "-"))
    ]
    assert [name for name in names if name.removeprefix("pytest-") not in page] == []


def test_lock_files_name_no_download_address() -> None:
    files = ["package-lock.json", *(f"requirements/{name}.txt" for name in ("base", "build", "try", "dev"))]
    addresses = re.compile(r'"resolved"|--(extra-)?index-url|--find-links|--trusted-host [^-]')
    assert [name for name in files if addresses.search((ROOT / name).read_text())] == []


PATH_OF_OURS = re.compile(r"`((?:[a-z0-9_]+/)+[a-z0-9_]+\.(?:py|lua|luau|sql|md))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    places = (ROOT, ROOT / "src/moonlatch", ROOT / "tests", page.parent)
    named = PATH_OF_OURS.findall(page.read_text())
    assert [path for path in named if not any((place / path).exists() for place in places)] == []
