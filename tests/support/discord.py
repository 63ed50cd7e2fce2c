"""A Discord of our own: it signs what it sends, holds what it gets against its documented limits, and answers late, 429 or not at all when it is told to.

Limits, as the documentation of November 2026 has them: https://docs.discord.com/developers
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from support.receiver import Received, Reply

APPLICATION, BOT = "100000000000000001", "100000000000000002"
GUILD, OTHER_GUILD = "200000000000000001", "200000000000000002"
BOT_ROLE, CUSTOMERS, STAFF, ADMINS, ABOVE = (f"30000000000000000{number}" for number in range(1, 6))
TOKEN = "a-bot-token.of-the.fake-discord"
EPHEMERAL = 64
MANAGE_ROLES = 1 << 28
ANSWER_SECONDS = 3.0

PING, COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = range(1, 6)


class Signer:
    """Signs as Discord does: Ed25519 over the timestamp and the body."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key = self._key.public_key().public_bytes_raw()

    def headers(self, body: bytes, at_seconds: int) -> dict[str, str]:
        signature = self._key.sign(str(at_seconds).encode() + body).hex()
        return {
            "Content-Type": "application/json",
            "X-Signature-Ed25519": signature,
            "X-Signature-Timestamp": str(at_seconds),
        }


_ids = itertools.count(900000000000000000)


def new_snowflake() -> str:
    return str(next(_ids))


@dataclass
class Person:
    """A member of a server; `roles` are ids."""

    id: str = field(default_factory=new_snowflake)
    name: str = "customer"
    roles: set[str] = field(default_factory=set)
    is_bot: bool = False

    def shown(self) -> dict[str, Any]:
        user = {"id": self.id, "username": self.name, "global_name": None, "avatar": None, "bot": self.is_bot}
        return {"user": user, "roles": sorted(self.roles), "permissions": "2147483647", "deaf": False, "flags": 0}


@dataclass
class FakeDiscord:
    """`replies` are given first, then it behaves as documented. `faults` are payloads that Discord would not take."""

    port: int = 0
    signer: Signer = field(default_factory=Signer)
    members: dict[str, dict[str, Person]] = field(default_factory=lambda: {GUILD: {}, OTHER_GUILD: {}})
    positions: dict[str, int] = field(
        default_factory=lambda: {GUILD: 0, CUSTOMERS: 1, STAFF: 2, ADMINS: 3, BOT_ROLE: 4, ABOVE: 5}
    )
    bot_permissions: int = MANAGE_ROLES
    interactions_url: str | None = None
    commands: list[Any] | None = None
    token: str = TOKEN
    replies: list[Reply | None] = field(default_factory=list)
    received: list[tuple[str, str, Received]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    follow_ups: dict[str, Any] = field(default_factory=dict)
    files: dict[str, list[bytes]] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    before_answer: Callable[[str, str], Any] | None = None
    members_intent: bool = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def join(self, person: Person, guild: str = GUILD) -> Person:
        self.members[guild][person.id] = person
        return person

    def calls(self, method: str, ending: str = "") -> list[str]:
        return [path for each, path, _ in self.received if each == method and path.endswith(ending)]

    async def until(self, is_so: Callable[[], Any], seconds: float = 60) -> Any:
        """Wait until something is so, looking whenever a call came."""
        async with asyncio.timeout(seconds):
            while not (found := is_so()):
                self.came.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.came.wait(), 0.2)
        return found

    # --- what it serves

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:] if line}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = head[0].split(" ")
        got = Received(path, headers, body)
        if self.before_answer is not None:
            await self.before_answer(method, path)
        reply = self.replies.pop(0) if self.replies else self._answer(method, path, got)
        self.received.append((method, path, got))
        self.came.set()
        if reply is None:
            return False
        status, extra, content = reply
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *(f"{k}: {v}" for k, v in extra.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        await writer.drain()
        return True

    def _answer(self, method: str, path: str, got: Received) -> Reply:
        if not re.fullmatch(r"DiscordBot \(https?://\S+, [0-9.]+\)", got.headers.get("user-agent", "")):
            self.faults.append(f"user agent {got.headers.get('user-agent')}")
        bare, _, query = path.partition("?")
        if match := re.fullmatch(r"/webhooks/([0-9]+)/([^/]+)/messages/@original", bare):
            return self._followed_up(match[2], got)
        if got.headers.get("authorization") != f"Bot {self.token}":
            return refusal(401, 0, "401: Unauthorized")
        if bare == "/applications/@me":
            if method == "PATCH":
                self.interactions_url = got.json["interactions_endpoint_url"]
            bot = {"id": BOT, "username": "bot"}
            return ok(
                {
                    "id": APPLICATION,
                    "name": "Moon bot",
                    "verify_key": self.signer.public_key.hex(),
                    "interactions_endpoint_url": self.interactions_url,
                    "bot": bot,
                }
            )
        if bare == "/users/@me/guilds":
            return ok([{"id": guild, "name": f"Server {guild[-1]}"} for guild in self.members])
        if bare == f"/applications/{APPLICATION}/commands" and method == "PUT":
            self.faults += command_faults(got.json)
            self.commands = got.json
            return ok(got.json)
        if match := re.fullmatch(r"/guilds/([0-9]+)(/.*)?", bare):
            if match[1] not in self.members:
                return refusal(404, 10004, "Unknown Guild")
            return self._of_guild(method, match[1], match[2] or "", query)
        return refusal(404, 0, "404: Not Found")

    def _of_guild(self, method: str, guild: str, rest: str, query: str) -> Reply:
        members = self.members[guild]
        roles = [
            {"id": role, "name": f"role {role[-1]}", "position": place, "permissions": "0", "managed": role == BOT_ROLE}
            for role, place in self.positions.items()
        ]
        next(each for each in roles if each["id"] == BOT_ROLE)["permissions"] = str(self.bot_permissions)
        if rest == "/roles":
            return ok(roles)
        if not rest:
            return ok({"id": guild, "name": "The server", "roles": roles})
        if rest == "/members":
            if not self.members_intent:
                return refusal(403, 50001, "Missing Access")
            asked = dict(part.split("=") for part in query.split("&"))
            after, limit = int(asked.get("after", 0)), int(asked.get("limit", 1))
            if not 1 <= limit <= 1000:
                return refusal(400, 50035, "Invalid Form Body")
            found = sorted((each for each in members if int(each) > after), key=int)[:limit]
            return ok([members[each].shown() for each in found])
        if match := re.fullmatch(r"/members/([0-9]+)", rest):
            if match[1] == BOT:
                return ok(Person(BOT, "bot", {BOT_ROLE}, is_bot=True).shown())
            return ok(members[match[1]].shown()) if match[1] in members else refusal(404, 10007, "Unknown Member")
        if match := re.fullmatch(r"/members/([0-9]+)/roles/([0-9]+)", rest):
            if match[1] not in members:
                return refusal(404, 10007, "Unknown Member")
            if match[2] not in self.positions:
                return refusal(404, 10011, "Unknown Role")
            if not self.bot_permissions & MANAGE_ROLES or self.positions[match[2]] >= self.positions[BOT_ROLE]:
                return refusal(403, 50013, "Missing Permissions")
            roles = members[match[1]].roles
            roles.add(match[2]) if method == "PUT" else roles.discard(match[2])
            return 204, {}, b""
        return refusal(404, 0, "404: Not Found")

    def _followed_up(self, token: str, got: Received) -> Reply:
        files: list[bytes] = []
        if got.headers["content-type"].startswith("multipart/form-data"):
            message, files = parts_of(got)
        else:
            message = got.json
        self.faults += message_faults(message, files=len(files))
        self.follow_ups[token] = message
        self.files[token] = files
        return ok({"id": new_snowflake()})

    # --- what it sends

    def interaction(self, kind: int, person: Person | None, guild: str | None = GUILD, **data: Any) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": new_snowflake(),
            "application_id": APPLICATION,
            "type": kind,
            "token": f"aW50ZXJhY3Rpb24.{new_snowflake()}",
            "version": 1,
            "data": data,
            "locale": "en-US",
            "entitlements": [],
        }
        if guild is not None and person is not None:
            found |= {"guild_id": guild, "channel_id": new_snowflake(), "member": person.shown()}
        elif person is not None:
            found["user"] = person.shown()["user"]
        return found


def ok(body: Any) -> Reply:
    return 200, {"Content-Type": "application/json", "X-RateLimit-Remaining": "4"}, msgspec.json.encode(body)


def refusal(status: int, code: int, message: str) -> Reply:
    return status, {"Content-Type": "application/json"}, msgspec.json.encode({"code": code, "message": message})


def too_many(seconds: float, *, is_global: bool = False) -> Reply:
    body = {"message": "You are being rate limited.", "retry_after": seconds, "global": is_global}
    headers = {"Content-Type": "application/json", "Retry-After": str(int(seconds) + 1)}
    headers |= {"X-RateLimit-Global": "true"} if is_global else {"X-RateLimit-Scope": "user"}
    return 429, headers, msgspec.json.encode(body)


@dataclass
class Client:
    """Discord's people: what they use is signed and sent, and the answer is held against the limits."""

    discord: FakeDiscord
    http: httpx.AsyncClient
    url: str
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000

    async def send(self, interaction: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        body = msgspec.json.encode(interaction)
        signed = self.discord.signer.headers(body, self.clock() // 1000)
        return await self.http.post(self.url, content=body, headers={**signed, **(headers or {})}, timeout=30)

    async def answer(self, interaction: Mapping[str, Any]) -> Any:
        """The answer, which came in time and within limits; one that comes later is waited for."""
        began = time.monotonic()
        response = await self.send(interaction)
        assert time.monotonic() - began < ANSWER_SECONDS
        assert response.status_code == 200, response.text
        answer = response.json()
        self.discord.faults += answer_faults(answer, interaction["type"])
        if answer["type"] != 5:
            return answer
        token = interaction["token"]
        message = await self.discord.until(lambda: self.discord.follow_ups.get(token))
        return {"type": 4, "data": {**message, "flags": answer.get("data", {}).get("flags", 0)}, "later": token}

    async def use(self, command: str, person: Person, guild: str | None = GUILD, **options: Any) -> Any:
        """The answer to a slash command."""
        given = [{"name": name, "value": value} for name, value in options.items()]
        return await self.answer(self.discord.interaction(COMMAND, person, guild, name=command, options=given))

    async def told(self, command: str, person: Person, **options: Any) -> str:
        """What only the person sees of the answer."""
        return text_of(await self.use(command, person, **options))

    async def press(self, custom_id: str, person: Person, guild: str = GUILD) -> Any:
        return await self.answer(
            self.discord.interaction(COMPONENT, person, guild, custom_id=custom_id, component_type=2)
        )

    async def write(self, custom_id: str, person: Person, **fields: str) -> Any:
        components = [
            {"type": 18, "id": 1, "component": {"type": 4, "custom_id": name, "value": value}}
            for name, value in fields.items()
        ]
        return await self.answer(self.discord.interaction(MODAL, person, custom_id=custom_id, components=components))

    async def suggestions(self, command: str, person: Person, typed: str) -> list[str]:
        options = [{"name": "project", "type": 3, "value": typed, "focused": True}]
        answer = await self.answer(self.discord.interaction(AUTOCOMPLETE, person, name=command, options=options))
        return [each["name"] for each in answer["data"]["choices"]]


def text_of(answer: Any) -> str:
    """The text of a message that only one person sees."""
    assert answer["type"] == 4, answer
    assert answer["data"].get("flags") == EPHEMERAL, "others see it"
    return str(answer["data"]["content"])


def buttons_of(answer: Any) -> dict[str, str]:
    """`custom_id` of each button, by its label."""
    return {each["label"]: each["custom_id"] for row in answer["data"]["components"] for each in row["components"]}


def parts_of(got: Received) -> tuple[Any, list[bytes]]:
    """The message and the files of a multipart body (RFC 7578)."""
    boundary = got.headers["content-type"].partition("boundary=")[2].encode()
    message, files = None, []
    for part in got.body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        if b'name="payload_json"' in head:
            message = msgspec.json.decode(content)
        else:
            assert re.search(rb'name="files\[[0-9]\]"; filename="[a-z]+\.txt"', head), head
            files.append(content)
    return message, files


# --- limits


def answer_faults(answer: Any, kind: int) -> list[str]:
    """What Discord would not take of the answer to an interaction of a kind."""
    allowed = {PING: {1}, AUTOCOMPLETE: {8}, COMMAND: {4, 5, 9}, COMPONENT: {4, 5, 6, 7, 9}, MODAL: {4, 5, 6, 7}}[kind]
    if answer["type"] not in allowed:
        return [f"type {answer['type']} answers no interaction of type {kind}"]
    data = answer.get("data", {})
    match answer["type"]:
        case 4:
            return message_faults(data)
        case 5:
            return [] if set(data) <= {"flags"} else [f"a deferred answer says {data}"]
        case 8:
            choices = data["choices"]
            faults = [] if len(choices) <= 25 else ["more than 25 choices"]
            return faults + [
                f"choice {each}" for each in choices if not _fits(each["name"], 100) or not _fits(each["value"], 100)
            ]
        case 9:
            return modal_faults(data)
    return []


def message_faults(message: Any, *, files: int = 0) -> list[str]:
    """What Discord would not take of a message."""
    faults = [f"unknown field {name}" for name in message.keys() - _MESSAGE]
    if message.get("allowed_mentions") != {"parse": []}:
        faults.append("somebody could be mentioned")
    content = message.get("content", "")
    if len(content) > 2000:
        faults.append("content is longer than 2,000 characters")
    embeds = message.get("embeds", [])
    if not content and not embeds and not files:
        faults.append("an empty message")
    if len(embeds) > 10:
        faults.append("more than 10 embeds")
    total = 0
    for embed in embeds:
        title, text = embed.get("title", ""), embed.get("description", "")
        total += len(title) + len(text)
        if len(title) > 256 or len(text) > 4096:
            faults.append("an embed is too long")
    if total > 6000:
        faults.append("embeds are longer than 6,000 characters")
    if message.get("flags", 0) & ~EPHEMERAL:
        faults.append("flags that may not be set")
    rows = message.get("components", [])
    if len(rows) > 5:
        faults.append("more than 5 rows")
    ids = []
    for row in rows:
        if row["type"] != 1 or not 1 <= len(row["components"]) <= 5:
            faults.append("a row of more than 5 buttons, or of none")
        for button in row["components"]:
            ids.append(button["custom_id"])
            if button["type"] != 2 or button["style"] not in range(1, 5):
                faults.append(f"button {button}")
            if not _fits(button["label"], 80) or not _fits(button["custom_id"], 100):
                faults.append(f"button {button} is too long")
    if len(set(ids)) != len(ids):
        faults.append("two components with one custom_id")
    if len(message.get("attachments", [])) != files:
        faults.append("attachments that are not there")
    return faults


_MESSAGE = {"content", "embeds", "components", "allowed_mentions", "flags", "attachments"}


def modal_faults(modal: Any) -> list[str]:
    """What Discord would not take of a dialog."""
    faults = []
    if not _fits(modal["title"], 45) or not _fits(modal["custom_id"], 100) or not 1 <= len(modal["components"]) <= 5:
        faults.append("a dialog's title, id or number of fields")
    for label in modal["components"]:
        if label["type"] != 18 or not _fits(label["label"], 45) or len(label.get("description", "")) > 100:
            faults.append(f"label {label}")
        inner = label["component"]
        if inner["type"] != 4 or inner["style"] not in (1, 2) or not _fits(inner["custom_id"], 100):
            faults.append(f"field {inner}")
        if not 0 <= inner["min_length"] <= inner["max_length"] <= 4000 or len(inner["placeholder"]) > 100:
            faults.append(f"field's lengths {inner}")
    return faults


def command_faults(commands: Any) -> list[str]:
    """What Discord would not take of the commands."""
    faults = [] if len(commands) <= 100 else ["more than 100 commands"]
    if len({each["name"] for each in commands}) != len(commands):
        faults.append("two commands of one name")
    for command in commands:
        name = command["name"]
        if not re.fullmatch(r"[-_a-z0-9]{1,32}", name) or not _fits(command["description"], 100):
            faults.append(f"name or description of {name}")
        options = command.get("options", [])
        if len(options) > 25 or len({each["name"] for each in options}) != len(options):
            faults.append(f"options of {name}")
        required = [each.get("required", False) for each in options]
        if required != sorted(required, reverse=True):
            faults.append(f"an option of {name} that is required stands behind one that is not")
        size = len(name) + len(command["description"])
        for option in options:
            if not re.fullmatch(r"[-_a-z0-9]{1,32}", option["name"]) or not _fits(option["description"], 100):
                faults.append(f"option {option['name']} of {name}")
            if option["type"] not in (3, 4, 6, 8) or (option.get("autocomplete") and option["type"] != 3):
                faults.append(f"type of {option['name']} of {name}")
            if not 0 <= option.get("min_length", 0) <= option.get("max_length", 6000) <= 6000:
                faults.append(f"length of {option['name']} of {name}")
            size += len(option["name"]) + len(option["description"])
        if size > 8000:
            faults.append(f"{name} is longer than 8,000 characters")
    return faults


def _fits(text: str, most: int) -> bool:
    return 1 <= len(text) <= most


@contextlib.asynccontextmanager
async def fake_discord(port: int = 0) -> AsyncIterator[FakeDiscord]:
    """It runs, and everything that it got by the end is within its limits."""
    running = FakeDiscord()
    server = await asyncio.start_server(running.serve, "127.0.0.1", port)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
    assert running.faults == []
