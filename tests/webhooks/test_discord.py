"""What Discord is sent keeps to its documented limits, mentions nobody, and hides what lets anybody post."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.licensing.discord_message import MOST_EMBEDS
from moonlatch.licensing.webhooks import EndpointKind, Fate, judged, kind_of, pause_ms, shown_url
from moonlatch.operations.kinds import EventKind
from moonlatch.storage.deliveries import Claimed, Delivery
from moonlatch.storage.events import Event
from moonlatch.webhooks.discord import embed_of, message_of, with_wait
from support.hooks import Hooks
from support.receiver import Received, Receiver, Reply

TEXT = st.text(max_size=3000)
VALUES = st.none() | st.booleans() | st.integers() | TEXT


def claimed(label: str, name: str, changes: dict[str, Any]) -> Claimed:
    event = Event(
        id="0" * 32, account_id="a", project_id="p", at=1, kind=EventKind.USER_EDITED, actor_kind="token", actor_id="t",
        actor_name=name, address=None, request_id=None, resource_kind="user", resource_id="u", resource_label=label,
        changes=changes,
    )  # fmt: skip
    delivery = Delivery(id="0" * 48, endpoint_id="e", event_id=event.id, kind=event.kind, created_at=1)
    return Claimed(delivery, event)


@given(TEXT, TEXT, st.dictionaries(TEXT, st.tuples(VALUES, VALUES), max_size=30))
def test_a_full_message_keeps_to_every_limit(label: str, name: str, changes: dict[str, Any]) -> None:
    embed = embed_of(claimed(label, name, changes), "p")
    assert embed is not None
    message = msgspec.json.decode(message_of([embed] * MOST_EMBEDS))
    assert message["allowed_mentions"] == {"parse": []}
    total = 0
    for each in message["embeds"]:
        assert 1 <= len(each["title"]) <= 256
        assert len(each["fields"]) <= 25
        assert 0 <= each["color"] <= 0xFFFFFF
        for field in each["fields"]:
            assert 1 <= len(field["name"]) <= 256
            assert 1 <= len(field["value"]) <= 1024
        total += len(each["title"]) + len(each["footer"]["text"])
        total += sum(len(field["name"]) + len(field["value"]) for field in each["fields"])
    assert total <= 6000


def test_nothing_a_customer_writes_is_formatted_or_mentions_anybody() -> None:
    embed = embed_of(
        claimed("[free](https://evil.test) @everyone <@1>", "**bold**", {"note": (None, "`x` ||y||")}), "p"
    )
    assert embed is not None
    user, by, note = (field["value"] for field in embed["fields"])
    assert "@everyone" not in user
    assert "](" not in user
    assert by == r"\*\*bold\*\*"
    assert note == r"\`x\` \|\|y\|\|"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://discord.com/api/webhooks/1/abc", "discord"),
        ("https://ptb.discord.com/api/v10/webhooks/1/abc?thread_id=5", "discord"),
        ("https://discordapp.com/api/webhooks/1/abc", "discord"),
        ("https://discord.com.evil.test/api/webhooks/1/abc", "standard"),
        ("http://discord.com/api/webhooks/1/abc", "standard"),
        ("https://evil.test/discord.com/api/webhooks/1/abc", "standard"),
    ],
)
def test_a_webhook_of_discord_is_known_by_its_url(url: str, kind: str) -> None:
    assert kind_of(url) == kind
    assert kind == "standard" or "abc" not in shown_url(url)


def test_answers_of_discord_are_obeyed() -> None:
    assert judged(EndpointKind.DISCORD, 404, {}).fate is judged(EndpointKind.DISCORD, 401, {}).fate is Fate.GONE
    assert judged(EndpointKind.STANDARD, 404, {}).fate is Fate.FAILED
    limited = judged(EndpointKind.DISCORD, 429, {"retry-after": "0.65"})
    assert (limited.fate, limited.wait_ms) == (Fate.PUT_OFF, 650)
    used_up = {"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "1.5"}
    assert pause_ms(EndpointKind.DISCORD, used_up) == 1500
    assert pause_ms(EndpointKind.DISCORD, {**used_up, "x-ratelimit-remaining": "1"}) == 0
    assert with_wait("https://d.test/x?thread_id=1") == "https://d.test/x?thread_id=1&wait=true"


async def test_events_share_messages_and_a_webhook_that_is_gone_is_switched_off(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url, kind=EndpointKind.DISCORD)
    for number in range(25):
        await hooks.rename(str(number))
    hooks.start()
    await hooks.ended(endpoint, "delivered", 25)
    assert sum(len(got.json["embeds"]) for got in there.received) == 25
    assert len(there.received) < 25
    assert {got.path for got in there.received} == {"/hook?wait=true"}
    there.usual = lambda _: (404, {}, b'{"message": "Unknown Webhook"}')
    await hooks.rename("last")
    off = await hooks.until(endpoint, lambda each: not each.enabled)
    assert off.disabled_because == "it answered with status 404"


async def test_a_webhook_that_has_used_up_its_calls_is_left_alone_for_so_long(hooks: Hooks, there: Receiver) -> None:
    endpoint, _ = await hooks.endpoint(there.url, kind=EndpointKind.DISCORD)
    for number in range(45):
        await hooks.rename(str(number))
    times: list[float] = []

    def limited(_: Received) -> Reply:
        times.append(asyncio.get_running_loop().time())
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "0.3"} if len(times) == 2 else {}
        return 200, headers, b""

    there.usual = limited
    hooks.start()
    await hooks.ended(endpoint, "delivered", 45)
    assert times[2] - times[1] >= 0.3
    assert there.most_open == 1
    assert sum(len(got.json["embeds"]) for got in there.received) == 45


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://bot.example.com/moonlatch", "https://bot.example.com/moonlatch"),
        ("http://bot.example.com:8080/api/v2/hooks/events.php", "http://bot.example.com:8080/api/v2/hooks/events.php"),
        ("https://bot.example.com", "https://bot.example.com"),
        ("https://bot.example.com/", "https://bot.example.com/"),
        ("https://bot.example.com/a/?key=s3cret", "https://bot.example.com/a/?…"),
        (
            "https://hooks.slack.com/services/T0123ABCD/B0123ABCD/aBcDeFgHiJkLmNoPqRsTuVwX",
            "https://hooks.slack.com/services/…/…/…",
        ),
        ("https://api.telegram.org/bot123456:AAE-abc_def/sendMessage", "https://api.telegram.org/…/sendMessage"),
        ("https://hook.eu1.make.com/abcdefghijklmnopqrstuvwxyz012345", "https://hook.eu1.make.com/…"),
        ("https://bot.example.com/%73ecret", "https://bot.example.com/…"),
    ],
)
def test_nothing_is_shown_of_a_url_that_may_let_others_post_there(url: str, shown: str) -> None:
    assert shown_url(url) == shown
    assert shown_url(shown) == shown
