"""Calls to Discord keep its limits, each bot its own, and stop before an address is banned."""

from __future__ import annotations

import asyncio

import pytest

from moonlatch.web.discord_api import (
    INVALID_SECONDS,
    MOST_INVALID,
    DiscordApi,
    DiscordAway,
    DiscordBusy,
    DiscordRefused,
    File,
    multipart,
)
from moonlatch.web.outgoing import Outgoing
from moonlatch.web.reach import ANYWHERE
from support.discord import TOKEN, fake_discord, ok, parts_of, refusal, too_many
from support.receiver import Received


class Monotonic:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_limit_is_one_bots_and_one_routes_and_a_global_one_all_of_a_bots() -> None:
    clock = Monotonic()
    async with fake_discord() as discord, Outgoing(ANYWHERE) as client:
        api = DiscordApi(client, discord.url, monotonic=clock)

        async def ask(route: str, token: str = TOKEN) -> object:
            return await api.ask("GET", "/applications/@me", route=route, token=token)

        discord.replies = [too_many(30)]
        with pytest.raises(DiscordBusy) as busy:
            await ask("a")
        assert busy.value.retry_after_seconds == 30
        with pytest.raises(DiscordBusy):
            await ask("a")
        assert len(discord.received) == 1, "nobody is asked while it waits"
        await ask("b")
        clock.now += 30
        await ask("a")
        discord.replies = [too_many(30, is_global=True)]
        with pytest.raises(DiscordBusy):
            await ask("a")
        with pytest.raises(DiscordBusy):
            await ask("b")
        with pytest.raises(DiscordRefused):
            await ask("a", "another-bot")


async def test_a_route_that_is_used_up_is_left_alone_until_it_is_reset() -> None:
    clock = Monotonic()
    async with fake_discord() as discord, Outgoing(ANYWHERE) as client:
        api = DiscordApi(client, discord.url, monotonic=clock)
        discord.replies = [(204, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "5"}, b"")]
        assert await api.ask("GET", "/x", route="a", token=TOKEN) is None
        with pytest.raises(DiscordBusy):
            await api.ask("GET", "/x", route="a", token=TOKEN)
        clock.now += 5
        discord.replies = [ok([])]
        assert await api.ask("GET", "/x", route="a", token=TOKEN) == []


async def test_too_many_refusals_stop_all_calls_for_a_while() -> None:
    clock = Monotonic()
    async with fake_discord() as discord, Outgoing(ANYWHERE, keeps_connections=True) as client:
        api = DiscordApi(client, discord.url, monotonic=clock)
        api._invalid.extend([clock.now] * (MOST_INVALID - 1))  # so many take a minute to be made
        with pytest.raises(DiscordRefused):
            await api.ask("GET", "/applications/@me", route="a", token="bad")
        with pytest.raises(DiscordBusy):
            await api.ask("GET", "/applications/@me", route="b", token=TOKEN)
        clock.now += INVALID_SECONDS
        await api.ask("GET", "/applications/@me", route="b", token=TOKEN)


@pytest.mark.parametrize(
    "reply",
    [
        None,
        (500, {}, b""),
        (301, {"Location": "http://127.0.0.1/"}, b""),
        (200, {}, b"{"),
        (200, {}, b"[" * 100_000),
        (429, {"Retry-After": "nan"}, b"["),
        (429, {}, b'{"retry_after": -5}'),
    ],
)
async def test_nonsense_is_no_answer(reply: object) -> None:
    async with fake_discord() as discord, Outgoing(ANYWHERE) as client:
        discord.replies = [reply]  # type: ignore[list-item]
        with pytest.raises((DiscordAway, DiscordBusy)):
            await DiscordApi(client, discord.url).ask("GET", "/x", route="a", token=TOKEN)


async def test_what_discord_says_of_a_refusal_is_told_and_the_token_is_not() -> None:
    async with fake_discord() as discord, Outgoing(ANYWHERE) as client:
        discord.replies = [refusal(403, 50013, "Missing Permissions")]
        with pytest.raises(DiscordRefused) as refused:
            await DiscordApi(client, discord.url).ask("PUT", "/x", route="a", token=TOKEN)
        assert (refused.value.status, refused.value.code, str(refused.value)) == (403, 50013, "Missing Permissions")


async def test_nobody_answers_in_time() -> None:
    async with fake_discord() as discord, Outgoing(ANYWHERE) as client:

        async def hang(_method: str, _path: str) -> None:
            await asyncio.sleep(60)

        discord.before_answer = hang
        with pytest.raises(DiscordAway, match="no answer within"):
            await DiscordApi(client, discord.url, timeout_seconds=0.1).ask("GET", "/x", route="a", token=TOKEN)


def test_files_go_beside_their_message() -> None:
    kind, body = multipart({"content": "here"}, [File("keys.txt", b"a\r\nb\n"), File("more.txt", b"")])
    assert parts_of(Received("/", {"content-type": kind}, body)) == ({"content": "here"}, [b"a\r\nb\n", b""])
