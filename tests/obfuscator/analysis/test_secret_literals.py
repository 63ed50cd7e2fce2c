"""What in a script looks like a secret, and what does not."""

from __future__ import annotations

import base64
import random
import string
import time
from pathlib import Path

import pytest

from moonlatch.obfuscator.analysis.secret_literals import MAX_WARNINGS, kind_of_secret, secret_warnings
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.pipeline import warnings_or_faults
from moonlatch.obfuscator.syntax.parser import parse
from support.corpus import accepted_scripts

PROGRAMS = Path(__file__).parents[1] / "programs"
RANDOM = random.Random(7)
MOST_SECONDS = 2.0


def some(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choice(alphabet) for _ in range(length))


def warned(script: str) -> list[str]:
    return secret_warnings(parse(script), script.encode())


# Put together here, so that nobody who searches this repository for secrets finds one.
SECRETS = {
    "the address of a Discord webhook": "https://discord.com/api/webhooks/" + some(18, "123456789") + "/" + some(68),
    "the address of a webhook": "https://proxy.example/api/webhooks/" + some(18, "123456789") + "/" + some(68),
    "the address of a Slack webhook": "https://hooks.slack.com/services/T" + some(8) + "/B" + some(8) + "/" + some(24),
    "a Discord bot's token": "M" + some(25) + "." + some(6) + "." + some(38),
    "a Telegram bot's token": some(9, "123456789") + ":AA" + some(33),
    "a token of GitHub": "gh" + "p_" + some(36),
    "a token of Slack": "xox" + "b-" + some(40),
    "a key of Stripe": "sk" + "_live_" + some(24),
    "a key of Amazon Web Services": "AK" + "IA" + some(16, string.ascii_uppercase),
    "a key of Google": "AI" + "za" + some(35),
    "a key of a language model's service": "sk" + "-proj-" + some(40),
    "a signed token (JWT)": "eyJ" + some(20) + ".eyJ" + some(40) + "." + some(43),
    "a token of Moonlatch": "ml" + "_" + some(49),
    "the secret of a webhook": "whsec" + "_" + some(32),
    "a Roblox account's cookie": "_|WARNING:-DO-NOT-SHARE-THIS.--" + some(100),
    "a private key": "-----BEGIN RSA PRIVATE" + " KEY-----",
}


@pytest.mark.parametrize(("what", "secret"), SECRETS.items(), ids=SECRETS)
def test_what_is_known_for_a_secret_is_warned_of_with_its_line(what: str, secret: str) -> None:
    (warning,) = warned(f'print(1)\nsend("{secret}", `x {{y}} z`)\n')
    assert warning.startswith(f"line 2: this looks like {what}, and whoever")
    instead = 'la_webhook("name", data)' if what.endswith("webhook") and "address" in what else 'la_var("name")'
    assert instead in warning
    assert secret not in warning


def test_random_texts_are_noticed() -> None:
    texts = [some(length) for length in (40, 48, 64) for _ in range(300)]
    texts += [base64.b64encode(RANDOM.randbytes(32)).decode() for _ in range(300)]
    noticed = sum(kind_of_secret(text.encode()) is not None for text in texts)
    assert noticed >= 0.95 * len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "d41d8cd98f00b204e9800998ecf8427e",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "123e4567-e89b-12d3-a456-426614174000",
        "rbxassetid://123456789012345678901234567890",
        "HumanoidRootPartPositionChangedSignal2024",
        "MainFrame1Button2Label3Text4Image5Scroll6",
        "https://raw.githubusercontent.com/somebody/SomeLibrary/main/Source/Init.lua",
        "https://discord.com/invite/AbCdEfGh12",
        "game/Workspace/Maps/Level_03/Spawn_Points/Point_12",
        "the quick brown fox jumps over the lazy dog 1234567890 times",
        "=" * 80,
    ],
)
def test_what_is_no_secret_is_not(text: str) -> None:
    assert kind_of_secret(text.encode()) is None


PIECES = [
    "-eyJ",
    "eyJaaaaaaaaaa.",
    "-xoxb",
    "-----BEGIN A",
    "A ",
    "https://a",
    "discord.com/api/v1",
    ".M",
    "-sk",
    "'",
    "_",
    "-",
    "/",
    "a",
    "1",
]


@pytest.mark.parametrize("one", PIECES)
def test_a_text_made_to_be_looked_through_for_long_is_not(one: str) -> None:
    """What goes back to each place where something may have begun takes minutes for so much; what does not takes some hundredths of a second."""
    for other in ("", *PIECES):
        text = (f"{other}{one}" * (200_000 // len(one + other))).encode()
        began = time.thread_time()
        kind_of_secret(text)
        assert time.thread_time() - began < MOST_SECONDS, other


def test_no_script_of_ours_is_warned_of() -> None:
    scripts = [*accepted_scripts().values(), *(path.read_text() for path in PROGRAMS.rglob("*.lua*"))]
    assert len(scripts) > 30
    assert [found for script in scripts if (found := warned(script))] == []


def test_one_warning_names_all_lines_of_a_kind_and_there_are_not_many() -> None:
    hook = SECRETS["the address of a Discord webhook"]
    (warning,) = warned(f'a("{hook}")\na("{hook}")\n\na("{hook}", "{hook}")')
    assert "line 1: " in warning
    assert "(also on lines 2, 4)" in warning
    assert len(warned("\n".join(f'a("{secret}")' for secret in SECRETS.values()))) == MAX_WARNINGS


def test_a_secret_in_a_comment_or_a_branch_that_leaves_the_build_is_none() -> None:
    secret = SECRETS["a token of GitHub"]
    script = f'-- {secret}\nif not LPH_OBFUSCATED then print("{secret}") end print(1)'
    assert warnings_or_faults(script.encode(), Options(client_chunk=True)) == []
    assert len(warnings_or_faults(f'print("{secret}")'.encode(), Options(client_chunk=True))) == 1  # type: ignore[arg-type]
