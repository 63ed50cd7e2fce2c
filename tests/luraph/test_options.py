"""The options of one job at Luraph, from what the service says it has."""

from __future__ import annotations

import pytest

from moonlatch.luraph.options import Node, Nodes, Option, job_options, wrong_settings
from moonlatch.obfuscator.outcome import EngineError
from moonlatch.obfuscator.target import Target

LANGUAGE = Option("DROPDOWN", ["Lua 5.1", "Luau"])
NODE = Node({"LANG": LANGUAGE, "BOX": Option("CHECKBOX"), "TEXT": Option("TEXT"), "NEW": Option("SLIDER")})


def test_the_recommended_node_is_the_one_that_is_listed() -> None:
    assert Nodes({"a": NODE}, "a").recommended() == ("a", NODE)
    assert Nodes({"a": NODE}, "b").recommended() is None
    assert Nodes({"a": NODE}).recommended() is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("BOX", "true", "must be true or false"),
        ("TEXT", True, "must be a text"),
        ("LANG", "Perl", "must be one of: Lua 5.1, Luau"),
        ("LANG", True, "must be one of: Lua 5.1, Luau"),
        ("box", True, "the service has no such option; it has: BOX, LANG, NEW, TEXT"),
    ],
)
def test_a_setting_the_service_would_not_take_is_named_by_its_id(name: str, value: str | bool, problem: str) -> None:
    assert wrong_settings(NODE, {name: value}) == [EngineError(name, problem)]


def test_settings_of_every_kind_are_taken_and_newer_kinds_are_left_to_the_service() -> None:
    assert wrong_settings(NODE, {"BOX": False, "TEXT": "", "LANG": "Luau", "NEW": "7"}) == []


@pytest.mark.parametrize(("target", "language"), [(Target.LUAU, "Luau"), (Target.LUA51, "Lua 5.1")])
def test_the_language_goes_to_the_option_that_chooses_one(target: Target, language: str) -> None:
    assert job_options(NODE, {}, target) == {"LANG": language}
    assert job_options(NODE, {"LANG": "Luau"}, target) == {"LANG": "Luau"}
    assert job_options(NODE, {}, None) == {}


def test_required_options_that_are_not_set_get_their_plainest_value() -> None:
    node = Node(
        {
            "BOX": Option("CHECKBOX", None, required=True),
            "TEXT": Option("TEXT", required=True),
            "PICK": Option("DROPDOWN", ["first", "second"], required=True),
            "OPEN": Option("CHECKBOX"),
        }
    )
    assert job_options(node, {}, None) == {"BOX": False, "TEXT": "", "PICK": "first"}
    assert job_options(node, {"PICK": "second"}, None)["PICK"] == "second"
