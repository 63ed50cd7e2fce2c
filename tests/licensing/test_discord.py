"""One Discord user has one id, however it is copied from there."""

import pytest

from moonlatch.licensing.discord import discord_user_id


@pytest.mark.parametrize("text", ["1123", " 1123 ", "\t1123\n", "<@1123>", "<@!1123>", " <@1123> "])
def test_every_spelling_of_an_id_is_the_same_id(text: str) -> None:
    assert discord_user_id(text) == "1123"


def test_the_largest_id_is_one() -> None:
    assert discord_user_id("18446744073709551615") == "18446744073709551615"


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0", "01123", "-1123", "+1123", "1 123", "1_123", "1123.0", "1.1e18", "0x463"),
        *("18446744073709551616", "1" * 21, "ann", "ann#1123", "@ann", "\u0661\u0661\u0662\u0663", "1123\0"),
        *("<@&1123>", "<#1123>", "<@1123", "@1123>", "<@>", "<@ 1123>", "<@1123><@1124>"),
    ],
)
def test_what_is_not_a_users_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a Discord user id"):
        discord_user_id(text)
