"""The pages below `/get/`, and where providers send visitors and word: bare ASGI. Decides nothing: `operations.visits` does."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from moonlatch import crypto
from moonlatch.checkpoints import page, text
from moonlatch.checkpoints.providers import (
    NotProvenError,
    ProviderDownError,
    Providers,
    Return,
    TooManyAskedError,
)
from moonlatch.config.sections import CheckpointSettings
from moonlatch.keyring import Keyring
from moonlatch.licensing.checkpoints import PROVIDERS, ProviderName
from moonlatch.operations import visits
from moonlatch.operations.ad_systems import secrets_of
from moonlatch.operations.changing import Change, keyring_of, perform
from moonlatch.operations.context import World
from moonlatch.operations.visits import Away, TurnedAway, Visitor
from moonlatch.storage import ad_systems
from moonlatch.storage.ad_systems import AdStep, AdSystem
from moonlatch.storage.interface import StorageError
from moonlatch.web.address import Addresses, header
from moonlatch.web.limits import NetworkLimit, RateLimits
from moonlatch.web.page_headers import encoded, page_headers

_PREFIXES = ("/get/", "/verify/", "/postback/")

_GUARDED = encoded(page_headers("style-src 'self'", "form-action 'self'"))
_HTML = (b"content-type", b"text/html; charset=utf-8")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_NOT_KEPT = (b"cache-control", b"no-store")

COOKIE = "moonlatch-visitor"
_COOKIE_SECONDS = 400 * 86_400  # as long as browsers keep any
_BROWSER = re.compile(r"[A-Za-z0-9]{32}")
_MAX_FORM_BYTES = 2_048
_FORM_SECONDS = 10.0
_MAX_QUERY = 2_048
_MAX_PARAMETERS = 20
_MAX_KEY = 64
_POSTBACKS_PER_SECOND, _POSTBACK_BURST = 50.0, 500
"""From one address: providers call from few, for everybody."""

_BEGINS_PER_SECOND, _BEGIN_BURST = 0.2, 10

logger = logging.getLogger("moonlatch.checkpoints")

T = TypeVar("T")


def is_below(path: str) -> bool:
    """Return whether a request's path is one of ours."""
    return path.startswith(_PREFIXES)


def route_of(path: str) -> str:
    """The template of a path that is one of ours: what stands in it is a visitor's, or a secret."""
    parts = path.split("/")[1:]
    match parts:
        case ["get", page.STYLE]:
            return f"/get/{page.STYLE}"
        case ["get", "for", _]:
            return "/get/for/{script_id}"
        case ["get", _]:
            return "/get/{slug}"
        case ["get", _, "go"]:
            return "/get/{slug}/go"
        case ["verify", _]:
            return "/verify/{callback}"
        case ["postback", *_]:
            return "/postback/{secret}"
        case _:
            return "-"


class Checkpoints:
    """The visitors' pages as an ASGI application. `style` is the page's; keeps nothing between two requests."""

    def __init__(
        self,
        *,
        world: World,
        providers: Providers,
        settings: CheckpointSettings,
        public_url: str,
        addresses: Addresses,
        limits: RateLimits,
        style: bytes,
    ) -> None:
        self.world = world
        self.providers = providers
        self.base = public_url.rstrip("/")
        self.addresses = addresses
        self.style = style
        self.style_tag = f'"{crypto.content_hash(style)[:32]}"'.encode()
        is_https = self.base.startswith("https:")
        self.cookie = f"__Host-{COOKIE}" if is_https else COOKIE
        self.cookie_end = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if is_https else "")
        self.views = NetworkLimit(
            limits, "view", per_second=settings.views_per_second_per_address, burst=settings.view_burst
        )
        self.begins = NetworkLimit(limits, "begin", per_second=_BEGINS_PER_SECOND, burst=_BEGIN_BURST)
        self.postbacks = NetworkLimit(limits, "postback", per_second=_POSTBACKS_PER_SECOND, burst=_POSTBACK_BURST)

    @property
    def keyring(self) -> Keyring:
        return keyring_of(self.world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        request = _Request(self, scope, receive, send)
        try:
            await request.answer()
        except StorageError as error:
            logger.warning("a visitor could not be answered: %s", type(error).__name__)
            await request.say(503, text.UNAVAILABLE)
        except Exception as error:
            # An exception's text may hold what the visitor sent.
            logger.error("a visitor could not be answered: %s", type(error).__name__, exc_info=error)  # noqa: TRY400
            await request.say(500, text.UNAVAILABLE)


class _Request:
    """One request on its way to its answer."""

    def __init__(self, face: Checkpoints, scope: Scope, receive: Receive, send: Send) -> None:
        self._face = face
        self._world = face.world
        self._scope = scope
        self._receive = receive
        self._send = send
        self._address = face.addresses.of(scope["client"], scope["headers"])
        self._has_answered = False
        self._new_browser: str | None = None
        self._browser = self._browser_of_cookie()

    async def answer(self) -> None:
        face, path, method = self._face, self._scope["path"], self._scope["method"]
        if path == f"/get/{page.STYLE}":
            await self._give_style()
            return
        if path.startswith("/postback/"):
            await self._postback(path.removeprefix("/postback/"))
            return
        wait = (await face.views.take(self._address)).retry_after_seconds
        if wait:
            await self.say(429, text.TOO_MANY.format(seconds=wait), (b"retry-after", b"%d" % wait))
            return
        parts = path.split("/")[2:]
        if method not in ("GET", "HEAD", "POST"):
            await self.say(405, text.ONLY_GET, (b"allow", b"GET, HEAD, POST"))
        elif path.startswith("/verify/") and len(parts) == 1 and method == "GET":
            await self._verify(parts[0])
        elif path.startswith("/get/") and len(parts) == 1 and method == "POST":
            await self._with_system(parts[0], self._begin)
        elif path.startswith("/get/") and len(parts) == 1:
            await self._with_system(parts[0], self._view)
        elif path.startswith("/get/") and parts[1:] == ["go"] and method == "GET":
            await self._with_system(parts[0], self._go)
        elif path.startswith("/get/") and len(parts) == 2 and parts[0] == "for":
            await self._for_script(parts[1])
        else:
            await self._not_there()

    async def say(self, status: int, words: str, *headers: tuple[bytes, bytes]) -> None:
        """Answer with a page that says one thing, where nothing was answered yet."""
        if not self._has_answered:
            body = page.message(text.TITLE, words, base=self._face.base)
            await self._respond(status, body, _HTML, _NOT_KEPT, *headers)

    # What visitors do.

    async def _view(self, system: AdSystem, problem: str = "", status: int = 200) -> None:
        visitor = self._visitor(system)
        now = self._world.clock()
        shown = await visits.shown(self._world.database, self._face.keyring, system, visitor, now=now)
        if visitor is not None and any(user.executions == 0 for _, user in shown.keys):
            keys = [user for _, user in shown.keys]
            await self._world.database.run(lambda tx: visits.follow(tx, visitor, keys))
        waits_for = ""
        if shown.waiting is not None:
            step = await ad_systems.find_step(self._world.database, shown.waiting.step_id)
            if step is not None and PROVIDERS[ProviderName(step.provider)].has_postback:
                waits_for = PROVIDERS[ProviderName(step.provider)].title
        body = page.visit(shown, now=now, base=self._face.base, problem=problem, waits_for=waits_for)
        await self._respond(status, body, _HTML, _NOT_KEPT)

    async def _begin(self, system: AdSystem) -> None:
        # Only pages send this header, and none can make it up; older browsers send none.
        if header(self._scope["headers"], b"sec-fetch-site") not in (None, b"same-origin", b"none"):
            await self._view(system, text.ELSEWHERE, 403)
            return
        wait = (await self._face.begins.take(self._address)).retry_after_seconds
        if wait:
            await self._view(system, text.TOO_MANY.format(seconds=wait), 429)
            return
        form = await self._form()
        if form is None:
            await self._view(system, text.BAD_FORM, 400)
            return
        if self._browser is None:
            self._browser = self._new_browser = crypto.new_id()
        visitor = self._known(system)
        key = form.get("key", "").strip()[:_MAX_KEY]
        try:
            await self._change(system, lambda change: visits.begin(change, system, visitor, extends=key))
        except TurnedAway as away:
            await self._turned(system, away.why)
            return
        await self._redirect(f"{self._face.base}/get/{system.slug}")

    async def _go(self, system: AdSystem) -> None:
        if self._visitor(system) is None:
            await self._turned(system, Away.NOT_BEGUN)
            return
        visitor = self._known(system)
        problem = text.AWAY[Away.NO_WAY]
        for _ in range(len(await ad_systems.steps_of(self._world.database, system.id))):
            try:
                step, callback = await self._change(system, lambda change: visits.leave(change, system, visitor))
            except TurnedAway as away:
                await self._turned(system, away.why)
                return
            secrets = secrets_of(self._face.keyring, step)
            try:
                place = await self._face.providers.way_out(
                    step, secrets, callback, self._callback_url(step, secrets, callback)
                )
            except ProviderDownError as down:
                problem = await self._note_down(system, step, down)
                continue
            await self._redirect(place)
            return
        await self._view(system, problem, 503)

    async def _verify(self, callback: str) -> None:
        system = await self._system_of(callback)
        if system is None:
            await self._not_there()
            return
        if self._visitor(system) is None:
            await self._turned(system, Away.NOT_BEGUN)
            return
        visitor = self._known(system)
        keyring = self._face.keyring
        try:
            step, begun, problem = await self._change(
                system, lambda change: visits.come_back(change, system, visitor, callback)
            )
            if problem is not None:
                await self._turned(system, problem)
                return
            back = Return(
                callback,
                self._query(),
                lambda address: visits.is_same_network(keyring, system, visitor, address),
            )
            try:
                proof = await self._face.providers.proof(step, secrets_of(keyring, step), back)
            except ProviderDownError as down:
                await self._change(system, lambda change: visits.give_back(change, begun.callback_hash))
                await self._view(system, await self._note_down(system, step, down), 503)
                return
            except NotProvenError:
                await self._change(system, lambda change: visits.refuse(change, begun.callback_hash))
                await self._turned(system, Away.NOT_PROVEN)
                return
            try:
                await self._change(system, lambda change: visits.count(change, system, begun.callback_hash, proof))
            except TurnedAway as away:
                # Who waits for a postback sees so on the page itself.
                if not (proof is None and away.why is Away.NOT_PROVEN):
                    raise
        except TurnedAway as away:
            await self._turned(system, away.why)
            return
        # Nothing of the callback stays in the address bar.
        await self._redirect(f"{self._face.base}/get/{system.slug}")

    async def _for_script(self, script_id: str) -> None:
        system = None if "\0" in script_id else await ad_systems.find_of_script(self._world.database, script_id)
        if system is None:
            await self._not_there()
        else:
            await self._redirect(f"{self._face.base}/get/{system.slug}")

    # What providers do.

    async def _postback(self, secret: str) -> None:
        """A provider's word that somebody went through. It is not signed: its path is the secret."""
        wait = (await self._face.postbacks.take(self._address)).retry_after_seconds
        if wait:
            await self._respond(429, b"too many\n", _TEXT, _NOT_KEPT, (b"retry-after", b"%d" % wait))
            return
        step = await ad_systems.find_postback(self._world.database, crypto.sha256(secret.encode(errors="replace")))
        system = None if step is None else await self._system(step)
        if step is None or system is None or not PROVIDERS[ProviderName(step.provider)].has_postback:
            await self._respond(404, b"there is no such postback\n", _TEXT, _NOT_KEPT)
            return
        query = self._query()
        callback, address, proof = (query.get(name, "") for name in ("click_id", "ip", "unique_id"))
        if not callback or not proof:
            await self._respond(400, b"click_id, ip and unique_id are needed\n", _TEXT, _NOT_KEPT)
            return
        try:
            await self._change(
                system,
                lambda change: visits.vouch(change, system, step, callback=callback, address=address, proof=proof),
            )
        except TurnedAway as away:
            logger.info("a postback of step %s was not taken: %s", step.id, away.why)
            await self._respond(409, f"not taken: {away.why}\n".encode(), _TEXT, _NOT_KEPT)
            return
        await self._respond(200, b"taken\n", _TEXT, _NOT_KEPT)

    # Parts.

    async def _with_system(self, slug: str, answer: Callable[[AdSystem], Awaitable[None]]) -> None:
        system = None if "\0" in slug else await ad_systems.find_at(self._world.database, slug)
        if system is None:
            await self._not_there()
        else:
            await answer(system)

    async def _system_of(self, callback: str) -> AdSystem | None:
        """The system whose step a callback is of, or the id of a step itself."""
        if not _BROWSER.fullmatch(callback):
            return None
        step = await visits.step_of(self._world.database, callback)
        return None if step is None else await self._system(step)

    async def _system(self, step: AdStep) -> AdSystem | None:
        return await ad_systems.find(self._world.database, step.system_id)

    async def _change(self, system: AdSystem, operation: Callable[[Change], Awaitable[T]]) -> T:
        return await perform(self._world, visits.actor_for(system), operation)

    async def _note_down(self, system: AdSystem, step: AdStep, down: ProviderDownError) -> str:
        if isinstance(down, TooManyAskedError):
            return text.UNAVAILABLE
        logger.warning("the provider %s of step %s is down: %s", step.provider, step.id, down)
        await self._change(system, lambda change: visits.note_down(change, system, step.id))
        return text.PROVIDER_DOWN.format(provider=PROVIDERS[ProviderName(step.provider)].title)

    async def _turned(self, system: AdSystem, why: Away) -> None:
        await self._view(system, text.AWAY[why], 403)

    async def _not_there(self) -> None:
        body = page.message(text.NOT_THERE, text.NOT_THERE_LEAD, base=self._face.base)
        await self._respond(404, body, _HTML, _NOT_KEPT)

    def _callback_url(self, step: AdStep, secrets: Mapping[str, str], callback: str) -> str:
        fixed = PROVIDERS[ProviderName(step.provider)].has_fixed_target and "token" not in secrets
        return f"{self._face.base}/verify/{step.id if fixed else callback}"

    def _visitor(self, system: AdSystem) -> Visitor | None:
        if self._browser is None:
            return None
        return visits.visitor_of(self._face.keyring, system, self._browser, self._address)

    def _known(self, system: AdSystem) -> Visitor:
        visitor = self._visitor(system)
        assert visitor is not None
        return visitor

    def _browser_of_cookie(self) -> str | None:
        for name, value in self._scope["headers"]:
            if name == b"cookie":
                for part in value.decode("latin-1").split(";"):
                    key, _, held = part.strip().partition("=")
                    if key == self._face.cookie and _BROWSER.fullmatch(held):
                        return str(held)
        return None

    def _query(self) -> Mapping[str, str]:
        raw: bytes = self._scope.get("query_string", b"")
        if len(raw) > _MAX_QUERY:
            return {}
        return _pairs(raw)

    async def _form(self) -> Mapping[str, str] | None:
        """The form that was sent; None for one that did not arrive, or is none."""
        body = b""
        try:
            async with asyncio.timeout(_FORM_SECONDS):
                while True:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        return None
                    body += message.get("body", b"")
                    if len(body) > _MAX_FORM_BYTES:
                        return None
                    if not message.get("more_body"):
                        return _pairs(body)
        except TimeoutError:
            return None

    async def _give_style(self) -> None:
        face = self._face
        kept = [(b"etag", face.style_tag), (b"cache-control", b"no-cache")]
        if face.style_tag in (header(self._scope["headers"], b"if-none-match") or b""):
            await self._respond(304, b"", *kept)
        else:
            await self._respond(200, face.style, (b"content-type", b"text/css; charset=utf-8"), *kept)

    async def _redirect(self, place: str) -> None:
        await self._respond(303, b"", (b"location", place.encode("latin-1", "replace")), _NOT_KEPT)

    async def _respond(self, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        self._has_answered = True
        told = [*headers, *_GUARDED]
        if self._new_browser is not None:
            face = self._face
            value = f"{face.cookie}={self._new_browser}; Max-Age={_COOKIE_SECONDS}{face.cookie_end}"
            told.append((b"set-cookie", value.encode()))
        if status != 304:
            told.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": told})
        await self._send({"type": "http.response.body", "body": b"" if self._scope["method"] == "HEAD" else body})


def _pairs(raw: bytes) -> dict[str, str]:
    """Names and values of a query or form; of a name given twice the first, and nothing of what could not be kept."""
    found: dict[str, str] = {}
    try:
        given = parse_qsl(raw.decode("latin-1"), max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        return {}
    for name, value in given:
        if "\0" not in value:
            found.setdefault(name, value)
    return found
