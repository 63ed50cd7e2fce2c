"""Roles and permissions, and that their page says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from moonlatch.licensing.roles import ALL, PERMISSIONS, Permission, Role, covers_projects, exceeding

PAGE = (Path(__file__).parents[2] / "docs/reference/roles.md").read_text()


def test_the_page_has_every_permission() -> None:
    assert re.findall(r"^\| `(\w+:\w+)` \|", PAGE, re.MULTILINE) == list(Permission)


def test_the_page_has_every_role_with_its_permissions() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert list(rows) == list(Role)
    for role, row in rows.items():
        named = frozenset(re.findall(r"`([^`]+)`", row))
        if row.startswith("all"):
            named = ALL - named
        assert named == PERMISSIONS[Role(role)], role


def test_every_role_below_the_owner_has_less() -> None:
    assert PERMISSIONS[Role.OWNER] == ALL
    assert all(PERMISSIONS[role] < ALL for role in Role if role is not Role.OWNER)


def test_nobody_hands_on_more_than_they_have() -> None:
    viewer, support = PERMISSIONS[Role.VIEWER], PERMISSIONS[Role.SUPPORT]
    assert exceeding(viewer, support) == []
    assert exceeding({Permission.KEYS_WRITE, Permission.ACCOUNT_WRITE}, support) == [Permission.ACCOUNT_WRITE]


def test_projects_are_handed_on_in_part_only() -> None:
    assert covers_projects(None, None)
    assert covers_projects(None, {"one"})
    assert covers_projects({"one", "two"}, {"one"})
    assert not covers_projects({"one"}, {"one", "two"})
    assert not covers_projects({"one"}, None)
