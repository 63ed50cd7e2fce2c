from __future__ import annotations

import re
from pathlib import Path

import pytest

from moonlatch.obfuscator.options import PROFILES, Options, UnknownProfileError
from moonlatch.obfuscator.passes import REGISTRY, Pass

ROOT = Path(__file__).parents[3]
KEYS = [one.KEY for one in REGISTRY]
named = pytest.mark.parametrize("one", REGISTRY, ids=lambda one: one.KEY)


@named
def test_every_pass_has_a_page_under_its_key(one: Pass) -> None:
    page = ROOT / f"docs/reference/passes/{one.KEY}.md"
    assert page.read_text().startswith(f"# {one.KEY}\n")


@named
def test_every_pass_has_a_test_file_under_its_key(one: Pass) -> None:
    assert (Path(__file__).parent / f"test_{one.KEY}.py").exists()


@named
def test_every_page_names_the_profiles_that_use_the_pass(one: Pass) -> None:
    page = (ROOT / f"docs/reference/passes/{one.KEY}.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("Profiles:"))
    assert set(re.findall(r"`(\w+)`", line)) == {profile for profile, keys in PROFILES.items() if one.KEY in keys}


def test_every_module_of_the_package_is_registered_once() -> None:
    modules = {path.stem for path in (ROOT / "src/moonlatch/obfuscator/passes").glob("*.py")} - {"__init__"}
    assert sorted(KEYS) == sorted(modules)


def test_profiles_consist_of_registered_passes() -> None:
    assert {key for keys in PROFILES.values() for key in keys} == set(KEYS)


def test_the_page_of_the_profiles_has_every_profile_with_its_passes_in_order() -> None:
    page = (ROOT / "docs/reference/profiles.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|$", page, re.MULTILINE)
    documented = {profile: re.findall(r"\[(\w+)\]", passes) for profile, passes in rows}
    assert documented == {profile: [key for key in KEYS if key in keys] for profile, keys in PROFILES.items()}
    assert list(documented) == list(PROFILES)


def test_an_unknown_profile_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(UnknownProfileError, match=f"unknown profile 'extreme'; there are: {', '.join(PROFILES)}"):
        Options("extreme")


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ValueError, match="lua99"):
        Options("light", "lua99")
