"""What `update` does: check and protect a script, build its loader when needed, publish both in one transaction.

All or nothing: a failed update costs no obfuscation and the previous build is served on. Sources are not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from moonlatch import crypto, errors
from moonlatch.builds.job import Done, Failed, Invalid
from moonlatch.builds.places import PoolBusyError
from moonlatch.builds.protection import Asked, loader_protection, protection_of
from moonlatch.builds.turns import Turns
from moonlatch.builds.workshop import Piece, Workshop
from moonlatch.clock import Clock, monotonic_seconds, now_ms
from moonlatch.crypto import Keyring
from moonlatch.errors import ApiError
from moonlatch.licensing.tier import Tier, tier_of
from moonlatch.live.interface import Live
from moonlatch.metrics.counts import BuildCounts
from moonlatch.obfuscator.options import DEFAULT_PROFILE
from moonlatch.storage import builds, loaders, projects, quota
from moonlatch.storage.accounts import Account
from moonlatch.storage.builds import Protection
from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.loaders import LoaderInfo
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script

UPDATE_SECONDS = 95
"""An update that did not get through the worker processes by then is given up: every call ends within 100 s."""

BUSY_RETRY_SECONDS = 10

PUBLISHED, INVALID, FAILED, OVER_QUOTA, BUSY, REFUSED, ERROR = (
    "published",
    "invalid",
    "failed",
    "over_quota",
    "busy",
    "refused",
    "error",
)
"""Outcomes of updates, as they are counted."""

_OUTCOMES = {1: OVER_QUOTA, 2: INVALID, 3: FAILED, 4: OVER_QUOTA, 5: FAILED}
"""By the code of the update endpoint's error; any other is a refusal before the work began."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A successful update: the number of the new build, and what the script's author should know."""

    build: int
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class LoaderRecipe:
    """How loaders are made: the version of their source, and what writes it for one script.

    `write` takes `script_id`, `loader_id`, `secret` and `base_url` by name and gives Lua 5.1 source.
    """

    version: int
    write: Callable[..., bytes]


class Publisher:
    """Publishes scripts. Updates of one script run one after the other; an account's never take every worker."""

    def __init__(
        self,
        *,
        database: Database,
        live: Live,
        workshop: Workshop,
        tiers: Mapping[str, Tier],
        public_url: str,
        keyring: Keyring,
        loader: LoaderRecipe,
        profile: str = DEFAULT_PROFILE,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._live = live
        self._workshop = workshop
        self._tiers = tiers
        self._public_url = public_url
        self._keyring = keyring
        self._loader = loader
        self._profile = profile
        self._clock = clock
        self.counts = BuildCounts()
        self._turns_of_script = Turns(1)

    async def protection(self, script: Script, asked: Asked | None = None) -> Protection:
        """What an update of the script that asks for this is protected with. Raises ApiError when the script is gone."""
        return protection_of(script, await self._project(script), server_profile=self._profile, asked=asked)

    async def _project(self, script: Script) -> Project:
        project = await projects.find(self._database, script.project_id)
        if project is None:
            raise errors.not_found("script")
        return project

    async def update(self, account: Account, script: Script, source: str, asked: Asked | None = None) -> Published:
        """Publish `source` as the script's next build. Raises ApiError with the codes documented for the endpoint."""
        began, outcome = monotonic_seconds(), ERROR
        try:
            published = await self._update(account, script, source, asked)
            outcome = PUBLISHED
        except ApiError as error:
            outcome = BUSY if error.status == 429 else _OUTCOMES.get(error.code, REFUSED)
            raise
        finally:
            self.counts.outcomes[outcome] += 1
            if outcome in (PUBLISHED, INVALID, FAILED):
                self.counts.seconds.add(monotonic_seconds() - began)
        return published

    async def _update(self, account: Account, script: Script, source: str, asked: Asked | None) -> Published:
        tier = tier_of(self._tiers, account.tier)
        text = _checked_size(source, tier.script_bytes)
        if account.is_expired(self._clock()):
            raise ApiError(403, 0, "account expired")
        project = await self._project(script)
        piece = Piece(
            source=text,
            name=script.name,
            project=project,
            protection=protection_of(script, project, server_profile=self._profile, asked=asked),
            client_chunk=True,
        )
        deadline = asyncio.get_running_loop().time() + UPDATE_SECONDS
        try:
            with self._workshop.admission(account.id, piece.protection.engine):
                async with self._turns_of_script.turn(script.id, deadline=deadline):
                    published = await self._publish(account, script, piece, tier, deadline)
        except PoolBusyError:
            raise errors.rate_limited(BUSY_RETRY_SECONDS) from None
        await self._live.script_changed(script.id)
        if asked is not None and asked.profile not in (None, piece.protection.profile):
            published.warnings.append(
                f"the profile '{asked.profile}' has no effect with the engine '{piece.protection.engine}'"
            )
        return published

    async def _publish(self, account: Account, script: Script, piece: Piece, tier: Tier, deadline: float) -> Published:
        left = await quota.find(self._database, account.id, limit=tier.obfuscations_per_period, now=self._clock())
        if left is None or not left.covers(1):
            raise _quota_exceeded(0)
        build = await self._protect_script(piece, deadline)
        loader: tuple[LoaderInfo, bytes] | None = None
        if await self._needs_loader(script.id):
            if not left.covers(2):
                raise _quota_exceeded(1)
            loader = await self._build_loader(script, piece, deadline)
        number = await self._store(account, script, tier, piece, build=build, loader=loader)
        return Published(build=number, warnings=build.warnings)

    async def _protect_script(self, piece: Piece, deadline: float) -> Done:
        answer = await self._workshop.protect(piece, deadline=deadline)
        match answer:
            case Invalid():
                raise ApiError(422, 2, "script is invalid", parser_output=answer.parser_output)
            case Failed():
                raise ApiError(422, 3, "failed to obfuscate script", luraph_errors=_luraph_errors(answer))
            case Done():
                return answer

    async def _needs_loader(self, script_id: str) -> bool:
        served = await loaders.find_served(self._database, script_id)
        return served is None or served.version < self._loader.version or served.base_url != self._public_url

    async def _build_loader(self, script: Script, build: Piece, deadline: float) -> tuple[LoaderInfo, bytes]:
        info = LoaderInfo(id=crypto.new_id(), version=self._loader.version, base_url=self._public_url)
        source = self._loader.write(
            script_id=script.id,
            loader_id=info.id,
            secret=self._keyring.loader_secret(info.id),
            base_url=self._public_url,
        )
        piece = Piece(
            source=source,
            name=f"{script.name} (loader)",
            project=build.project,
            protection=loader_protection(build.protection),
            client_chunk=False,
        )
        answer = await self._workshop.protect(piece, deadline=deadline)
        match answer:
            case Done():
                return info, answer.text
            case Invalid():  # our own fault, whatever it says: the developer did not write the loader
                failed = [{"param": None, "message": answer.parser_output}]
            case Failed():
                failed = _luraph_errors(answer)
        raise ApiError(422, 5, "failed to obfuscate init script", luraph_errors=failed)

    async def _store(
        self,
        account: Account,
        script: Script,
        tier: Tier,
        piece: Piece,
        *,
        build: Done,
        loader: tuple[LoaderInfo, bytes] | None,
    ) -> int:
        now = self._clock()
        cost = 1 if loader is None else 2

        async def unit(tx: Transaction) -> int:
            number = await builds.serve_next(tx, script.id, loader_id=None if loader is None else loader[0].id)
            if number is None:
                raise errors.not_found("script")
            # Claimed here and not before: what was left has been taken by another update since, for all we know.
            limit = tier.obfuscations_per_period
            if not await quota.claim(tx, account.id, cost, limit=limit, now=now):
                left = await quota.find(tx, account.id, limit=limit, now=now)
                raise _quota_exceeded(0 if left is None else left.left)
            await builds.insert(
                tx,
                script.id,
                number,
                payload=build.text,
                protection=piece.protection,
                source_bytes=len(piece.source),
                now=now,
            )
            if loader is not None:
                await loaders.insert(tx, loader[0], script.id, source=loader[1], now=now)
            await builds.prune(tx, script.id, keep=tier.build_history)
            return number

        return await self._database.run(unit)


def _checked_size(source: str, limit_bytes: int) -> bytes:
    """The source as UTF-8. It may hold any byte but lone surrogates; those have no UTF-8."""
    if not source:
        raise errors.invalid_field("script", "must not be empty")
    try:
        encoded = source.encode()
    except UnicodeEncodeError as error:
        raise errors.invalid_field("script", f"has a lone surrogate at character {error.start}") from None
    if len(encoded) > limit_bytes:
        problem = {"field": "script", "errors": [f"may have at most {limit_bytes} bytes, has {len(encoded)}"]}
        raise ApiError(413, -1, "unauthorized or invalid request", failed=[problem])
    return encoded


def _quota_exceeded(left: int | None) -> ApiError:
    """Nothing left, or not enough for script and loader together."""
    if left:
        return ApiError(403, 4, "not enough obfuscations for init script")
    return ApiError(403, 1, "max obfuscations reached")


def _luraph_errors(failed: Failed) -> list[dict[str, str | None]]:
    return [{"param": fault.param, "message": fault.message} for fault in failed.faults]
