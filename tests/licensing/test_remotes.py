"""Templates and bounds of what scripts hand over, for whatever they hand over."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from moonlatch.licensing.discord_message import MOST_CHARACTERS, MOST_EMBEDS, message_of
from moonlatch.licensing.remotes import MAX_DEPTH, MAX_VALUES, UnfitError, as_text, check_shape, rendered

TEMPLATE = {"a": "{{x}}", "b": "before {{ x }} after", "c": ["{{y.z}}", {"{{x}}": "{{la_user_id}}"}], "d": 5}
HOSTILE = ('"', "\\", '","d":6,"e":"', "{{la_user_id}}", "{{x}}", "\n\u2028", "]}", "\0", "é\U0001f600", "</script>")


def drawn(chance: random.Random, depth: int = 3) -> Any:
    """Some value that JSON can hold."""
    kind = chance.randrange(7 if depth else 5)
    if kind < 2:
        return "".join(chance.choice(HOSTILE) for _ in range(chance.randrange(4)))
    if kind == 5:
        return [drawn(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 6:
        return {chance.choice((*HOSTILE, "x", "z", "la_user_id")): drawn(chance, depth - 1) for _ in range(3)}
    return chance.choice([None, True, False, -7, 2**53, 0.5])


def text_of(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else as_text(value)


@pytest.mark.parametrize("seed", range(200))
def test_whatever_the_data_is_nothing_around_it_changes(seed: int) -> None:
    chance = random.Random(seed)
    x, y = drawn(chance), drawn(chance)
    z = y.get("z") if isinstance(y, dict) else None
    made = rendered(TEMPLATE, {"x": x, "y": y, "la_user_id": "forged"}, {"la_user_id": "u"})
    expected = {"a": x, "b": f"before {text_of(x)} after", "c": [z, {"{{x}}": "u"}], "d": 5}
    assert made == expected
    assert json.loads(as_text(made)) == expected


@pytest.mark.parametrize("data", [None, [], "text", 5, {"x": None}])
def test_what_is_missing_is_nothing(data: Any) -> None:
    made = rendered(TEMPLATE, data, {})
    assert made == {"a": None, "b": "before  after", "c": [None, {"{{x}}": None}], "d": 5}


def test_depth_and_number_of_values_have_an_end() -> None:
    deep: Any = "x"
    for _ in range(MAX_DEPTH):
        deep = [deep]
    check_shape(deep)
    check_shape([0] * (MAX_VALUES - 1))
    for much in ([deep], [0] * MAX_VALUES, json.loads("[" * 900 + "]" * 900), {"a": [[0] * 400] * 3}):
        with pytest.raises(UnfitError):
            check_shape(much)


@pytest.mark.parametrize("seed", range(100))
def test_a_message_for_discord_keeps_its_limits_and_mentions_nobody(seed: int) -> None:
    chance = random.Random(seed)

    def words() -> Any:
        return chance.choice(["w" * chance.randrange(5_000), drawn(chance), None])

    embed = {"title": words(), "description": words(), "footer": {"text": words()}, "author": {"name": words()}}
    embeds = [
        {
            **embed,
            "fields": [{"name": words(), "value": words()} for _ in range(chance.randrange(30))],
            "color": drawn(chance),
        }
        for _ in range(chance.randrange(13))
    ]
    said = {
        "content": "x" + str(words()),
        "username": words(),
        "embeds": embeds,
        "allowed_mentions": {"parse": ["everyone"]},
    }
    made = message_of(said)
    assert made["allowed_mentions"] == {"parse": []}
    assert len(made["content"]) <= 2_000
    assert len(made.get("embeds", [])) <= MOST_EMBEDS
    counted = 0
    for each in made.get("embeds", []):
        fields = each.get("fields", [])
        texts = [each.get("title", ""), each.get("description", ""), each.get("footer", {}).get("text", "")]
        texts += [
            each.get("author", {}).get("name", ""),
            *(field[name] for field in fields for name in ("name", "value")),
        ]
        counted += sum(map(len, texts))
        assert len(fields) <= 25
    assert counted <= MOST_CHARACTERS
