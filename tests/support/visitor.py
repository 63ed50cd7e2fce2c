"""A visitor of a checkpoint: a browser without scripts, in a network of its own, and how each provider sends it back."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx

from support.ad_providers import LINK_ID, LINKVERTISE_TOKEN
from support.client_server import plain_http
from support.management import Api, Developer, done

HERE, NEARBY, ELSEWHERE = "203.0.113.7", "203.0.113.200", "198.51.100.9"
"""Two addresses of one network, and one of another."""


@dataclass
class System:
    """An ad system, its steps by their order, and what signs callbacks of custom ones."""

    id: str
    slug: str
    steps: list[str]
    postbacks: list[str | None]
    secrets: list[str | None]


SETTINGS: dict[str, dict[str, str]] = {
    "custom": {"url": "https://gate.example/in?lang=en"},
    "linkvertise": {"publisher_id": "12345", "token": LINKVERTISE_TOKEN},
    "workink": {"link": "https://work.ink/abc/keys", "link_id": str(LINK_ID)},
    "lootlabs": {"link": "https://loot-link.com/s?abc123"},
}


async def new_system(
    me: Developer, project: str, *providers: str, minimum_seconds: int = 5, **fields: object
) -> System:
    made = done(await me.post("/ads/systems/new", {"project_id": project, "name": "Free keys", **fields}))
    system = System(made["system_id"], made["system"]["slug"], [], [], [])
    for provider in providers:
        await new_step(me, system, provider, minimum_seconds=minimum_seconds)
    return system


async def new_step(
    me: Developer, system: System, provider: str, settings: dict[str, str] | None = None, **fields: object
) -> str:
    body = {"provider": provider, "settings": settings or SETTINGS[provider], "minimum_seconds": 5, **fields}
    made = done(await me.post(f"/ads/systems/{system.id}/steps", body))
    system.steps.append(made["step"]["id"])
    system.postbacks.append(made["postback"])
    system.secrets.append(made["signing_secret"])
    return str(made["step"]["id"])


def signed(callback_url: str, secret: str, expires: int) -> str:
    """What a custom gate sends a visitor back with, as the guide has it."""
    callback = urlsplit(callback_url).path.rpartition("/")[2]
    signature = hmac.new(secret.encode(), f"{callback}.{expires}".encode(), hashlib.sha256).hexdigest()
    return f"{callback_url}?expires={expires}&signature={signature}"


class Visitor:
    """One browser. Redirects are followed to our own pages only."""

    def __init__(self, api: Api, http: httpx.AsyncClient) -> None:
        self._api = api
        self.http = http

    def move(self, address: str) -> None:
        self.http.headers["x-forwarded-for"] = address

    async def get(self, path: str) -> httpx.Response:
        reply = await self.http.get(path)
        while reply.is_redirect and reply.headers["location"].startswith(self._api.url):
            reply = await self.http.get(reply.headers["location"])
        return reply

    async def begin(self, system: System, **form: str) -> httpx.Response:
        reply = await self.http.post(f"/get/{system.slug}", data=form)
        if reply.is_redirect:
            return await self.get(reply.headers["location"])
        return reply

    async def go(self, system: System) -> str:
        """Leave for the next step: where to."""
        reply = await self.http.get(f"/get/{system.slug}/go")
        assert reply.status_code == 303, reply.text
        return reply.headers["location"]

    async def leave(self, system: System) -> str:
        """As `go`; gives the address to come back to by a link of its own, as custom gates get it."""
        (callback,) = parse_qs(urlsplit(await self.go(system)).query)["callback"]
        return callback

    async def pass_custom(self, system: System, secret: str, seconds: float = 10) -> httpx.Response:
        """Go through a custom step as one should."""
        callback = await self.leave(system)
        self._api.clock.ahead_ms += int(seconds * 1000)
        return await self.get(signed(callback, secret, self._api.clock() + 60_000))


@contextlib.asynccontextmanager
async def visitor(api: Api, address: str = HERE) -> AsyncIterator[Visitor]:
    async with plain_http(base_url=api.url, timeout=60, headers={"x-forwarded-for": address}) as http:
        yield Visitor(api, http)


def key_on(page: httpx.Response) -> str | None:
    """The key that a page shows."""
    found = re.search(r'<code class="key">([^<]+)</code>', page.text)
    return None if found is None else html.unescape(found[1])


def told(page: httpx.Response) -> str:
    """What a page says went wrong."""
    found = re.search(r'role="alert">([^<]+)<', page.text)
    return "" if found is None else html.unescape(found[1])
