"""Documentation cannot rot: links lead somewhere, and nothing private to a machine is written down."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

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
        line.partition("<")[0].strip()
        for file in ("base.in", "try.in", "node.in", "dev.in")
        for line in (ROOT / "requirements" / file).read_text().splitlines()
        if line.strip() and not line.startswith(("#", "-"))
    ]
    assert [name for name in names if name.removeprefix("pytest-") not in page] == []


def test_lock_files_name_no_download_address() -> None:
    files = ["package-lock.json", *(f"requirements/{name}.txt" for name in ("base", "build", "try", "node", "dev"))]
    addresses = re.compile(r'"resolved"|--(extra-)?index-url|--find-links|--trusted-host [^-]')
    assert [name for name in files if addresses.search((ROOT / name).read_text())] == []


PATH_OF_OURS = re.compile(r"`((?:[a-z0-9_]+/)+[a-z0-9_]+\.(?:py|lua|luau|sql|md))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    places = (ROOT, ROOT / "src/moonlatch", ROOT / "src/moonlatch/obfuscator", ROOT / "tests", page.parent)
    named = PATH_OF_OURS.findall(page.read_text())
    assert [path for path in named if not any((place / path).exists() for place in places)] == []


MAKEFILE = (ROOT / "Makefile").read_text()


def test_every_make_command_that_a_page_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    named = {
        (page.name, target)
        for page in PAGES
        for command in re.findall(
            r"(?:`|\$ |PYTEST_WORKERS=2 |MOONLATCH_PORT=\d+ )make((?: [a-z-]+)+)", page.read_text()
        )
        for target in command.split()
    }
    assert len(named) > 5
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_what_is_checked_before_a_commit_is_what_make_checks() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {" ".join([hook["entry"], *hook.get("args", [])]) for hook in repository["hooks"]}
    recipes = re.findall(r"^(?:lint|types|imports):.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    commands = {
        line.strip().replace("$(BIN)", ".venv/bin").replace("$(VENV)", ".venv")
        for recipe in recipes
        for line in recipe.splitlines()
    }
    assert hooks == commands


def test_files_are_as_the_editors_are_told() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a working tree of git")
    text = {
        ".py",
        ".lua",
        ".luau",
        ".md",
        ".toml",
        ".yaml",
        ".yml",
        ".mjs",
        ".sql",
        ".c",
        ".ts",
        ".tsx",
        ".css",
        ".html",
    }
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if Path(name).suffix in text]
    # Some of the compiler's inputs are odd on purpose.
    files = [file for file in files if file.is_file() and "corpus" not in file.parts]
    odd = [
        str(file.relative_to(ROOT))
        for file in files
        if (content := file.read_bytes()) and (b"\r\n" in content or not content.endswith(b"\n"))
    ]
    assert odd == []
