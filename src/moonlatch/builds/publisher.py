"""What an update does before it is published: check and protect a script, and build its loader when needed.

All or nothing: a failed update costs no obfuscation, but the time that workers spent on it, and the previous build is served on.
Sources are not kept.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from moonlatch.builds.job import Done, Draft, Failed, Fault, Invalid, WorkerAnswer
from moonlatch.builds.leaks import LeakReader
from moonlatch.builds.outcomes import (
    Broken,
    Busy,
    Gone,
    NewLoader,
    NoBuildTime,
    NotProtected,
    Outcome,
    OverQuota,
    Prepared,
    Published,
    Sound,
    Unpublished,
)
from moonlatch.builds.places import PoolBusyError
from moonlatch.builds.protection import Asked, loader_protection, protection_of
from moonlatch.builds.turns import Turns
from moonlatch.builds.workshop import Piece, Workshop
from moonlatch.clock import SECOND_MS, Clock, monotonic_seconds, now_ms
from moonlatch.crypto import sha256
from moonlatch.keyring import Keyring
from moonlatch.licensing.tier import Tier
from moonlatch.metrics.counts import BuildCounts
from moonlatch.obfuscator.engine_name import EngineName
from moonlatch.obfuscator.options import DEFAULT_PROFILE
from moonlatch.storage import loaders, projects, quota
from moonlatch.storage.accounts import Account
from moonlatch.storage.builds import Protection
from moonlatch.storage.interface import Database
from moonlatch.storage.loaders import LoaderInfo
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script

UPDATE_SECONDS = 95
"""An update that did not get through the worker processes by then is given up: every call ends within 100 s."""

BUSY_RETRY_SECONDS = 10

KEPT_LOADER = b"-- Moonlatch loader\n"
"""What a loader begins with that hosts keep: by it they tell one from an error page."""

_COUNTED: dict[type, str] = {
    Published: "published",
    Broken: "invalid",
    NotProtected: "failed",
    OverQuota: "over_quota",
    NoBuildTime: "over_quota",
    Busy: "busy",
    Gone: "refused",
}
_ERROR = "error"
_WITH_WORK = (Published, Broken, NotProtected)

Store = Callable[[Prepared], Awaitable[Published | Unpublished]]
"""Publishes what was prepared, or says why not."""

T = TypeVar("T")
StoreLoader = Callable[[NewLoader], Awaitable[T]]
"""Serves a new loader."""


@dataclass(frozen=True, slots=True)
class LoaderRecipe:
    """How loaders are made: the version of their source, and what writes it for one script.

    `write` takes `script_id`, `loader_id`, `secret`, `signing_key` and `exchange_key` (public), `base_url`, `keeps_leases` and `reports_errors` by
    name and gives Lua 5.1 source.
    """

    version: int
    write: Callable[..., bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A text (UTF-8) that is to become a script's next build, and what was asked for with it."""

    account: Account
    tier: Tier
    script: Script
    source: bytes
    asked: Asked | None = None


class Publisher:
    """Prepares updates. Those of one script run one after the other; an account's never take every worker."""

    def __init__(
        self,
        *,
        database: Database,
        workshop: Workshop,
        public_url: str,
        keyring: Keyring,
        loader: LoaderRecipe,
        profile: str = DEFAULT_PROFILE,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._workshop = workshop
        self._public_url = public_url
        self._keyring = keyring
        self._loader = loader
        self._profile = profile
        self._clock = clock
        self.counts = BuildCounts()
        self._turns_of_script = Turns(1)

    @property
    def leaks(self) -> LeakReader:
        """Who reads leaks."""
        return self._workshop.leaks

    async def protection(self, script: Script, asked: Asked | None = None) -> Protection | None:
        """What an update of the script that asks for this is protected with; None when its project is gone."""
        project = await projects.find(self._database, script.project_id)
        if project is None:
            return None
        return protection_of(script, project, server_profile=self._profile, asked=asked)

    async def look_through(self, draft: Update) -> Sound | Broken | NotProtected | Busy | Gone:
        """What this update would be refused for or warned of, as far as that is found without protecting anything."""
        protection = await self.protection(draft.script, draft.asked)
        if protection is None:
            return Gone()
        task = Draft(
            source=draft.source,
            profile=protection.profile,
            target=protection.target,
            keeps_macros=protection.engine != EngineName.EMBEDDED,
        )
        try:
            answer = await self._workshop.drafts.look_through(task, draft.account.id)
        except PoolBusyError:
            return Busy(BUSY_RETRY_SECONDS)
        return Sound(answer.warnings) if isinstance(answer, Done) else _unprotected(answer)

    async def update(self, update: Update, store: Store) -> Outcome:
        """Prepare the script's next build and have it stored, before any later update of the script begins."""
        began, counted = monotonic_seconds(), _ERROR
        try:
            outcome = await self._update(update, store)
            counted = _COUNTED[type(outcome)]
        finally:
            self.counts.outcomes[counted] += 1
        if isinstance(outcome, _WITH_WORK):
            self.counts.seconds.add(monotonic_seconds() - began)
        return outcome

    async def rotate_loader(
        self, account: Account, tier: Tier, script: Script, store: StoreLoader[T]
    ) -> T | NotProtected | OverQuota | NoBuildTime | Busy | Gone:
        """Build a loader with a new secret and have it stored, between two updates of the script and never during one."""
        project = await projects.find(self._database, script.project_id)
        if project is None:
            return Gone()
        protection = protection_of(script, project, server_profile=self._profile)
        deadline = asyncio.get_running_loop().time() + UPDATE_SECONDS
        try:
            with self._workshop.admission(account.id, protection.engine):
                async with self._turns_of_script.turn(script.id, deadline=deadline):
                    left = await quota.find(self._database, account.id, tier, now=self._clock())
                    if left is None or not left.covers(1):
                        return OverQuota(0)
                    if not left.has_build_time:
                        return NoBuildTime()
                    built = await self._build_loader(script, project, protection, deadline)
                    return built if isinstance(built, NotProtected) else await store(built)
        except PoolBusyError:
            return Busy(BUSY_RETRY_SECONDS)

    async def _update(self, update: Update, store: Store) -> Outcome:
        account, script, asked = update.account, update.script, update.asked
        project = await projects.find(self._database, script.project_id)
        if project is None:
            return Gone()
        piece = Piece(
            source=update.source,
            name=script.name,
            project=project,
            protection=protection_of(script, project, server_profile=self._profile, asked=asked),
            client_chunk=True,
            has_marks=script.mark_copies,
        )
        deadline = asyncio.get_running_loop().time() + UPDATE_SECONDS
        try:
            with self._workshop.admission(account.id, piece.protection.engine):
                async with self._turns_of_script.turn(script.id, deadline=deadline):
                    prepared = await self._prepare(update, piece, deadline)
                    outcome = await store(prepared) if isinstance(prepared, Prepared) else prepared
        except PoolBusyError:
            return Busy(BUSY_RETRY_SECONDS)
        if (
            isinstance(outcome, Published)
            and asked is not None
            and asked.profile not in (None, piece.protection.profile)
        ):
            outcome.warnings.append(
                f"the profile '{asked.profile}' has no effect with the engine '{piece.protection.engine}'"
            )
        return outcome

    async def _prepare(self, update: Update, piece: Piece, deadline: float) -> Prepared | Unpublished:
        script = update.script
        left = await quota.find(self._database, update.account.id, update.tier, now=self._clock())
        if left is None or not left.covers(1):
            return OverQuota(0)
        if not left.has_build_time:
            return NoBuildTime()
        build = await self._protect(piece, deadline)
        if not isinstance(build, Done):
            return _unprotected(build)
        loader: NewLoader | None = None
        if await self._needs_loader(script):
            if not left.covers(2):
                return OverQuota(1)
            built = await self._build_loader(script, piece.project, piece.protection, deadline)
            if isinstance(built, NotProtected):
                return built
            loader = built
        # Of many megabytes a hash takes longer than others may wait for the loop.
        source_hash, payload_hash = await asyncio.to_thread(lambda: (sha256(piece.source), sha256(build.text)))
        return Prepared(
            build=build,
            protection=piece.protection,
            source_bytes=len(piece.source),
            source_lines=piece.source.count(b"\n") + (not piece.source.endswith(b"\n")),
            source_hash=source_hash,
            payload_hash=payload_hash,
            loader=loader,
        )

    async def _needs_loader(self, script: Script) -> bool:
        served = await loaders.find_served(self._database, script.id)
        if served is None or served.version < self._loader.version or served.base_url != self._public_url:
            return True
        if self._keyring.of_loader(served.id) is not self._keyring.current:
            return True
        lacks_leases = bool(script.offline_days) and not served.keeps_leases
        return lacks_leases or (script.report_errors and not served.reports_errors)

    async def _build_loader(
        self, script: Script, project: Project, protection: Protection, deadline: float
    ) -> NewLoader | NotProtected:
        info = LoaderInfo(
            id=self._keyring.new_loader_id(),
            version=self._loader.version,
            base_url=self._public_url,
            keeps_leases=bool(script.offline_days),
            reports_errors=script.report_errors,
        )
        source = self._loader.write(
            script_id=script.id,
            loader_id=info.id,
            secret=self._keyring.loader_secret(info.id),
            signing_key=self._keyring.public_key,
            exchange_key=self._keyring.exchange_key,
            base_url=self._public_url,
            keeps_leases=info.keeps_leases,
            reports_errors=info.reports_errors,
        )
        piece = Piece(
            source=source,
            name=f"{script.name} (loader)",
            project=project,
            protection=loader_protection(protection),
            client_chunk=False,
        )
        answer = await self._protect(piece, deadline)
        match answer:
            case Done():
                return info, KEPT_LOADER + answer.text if info.keeps_leases else answer.text
            case Invalid():  # our own fault, whatever it says: the developer did not write the loader
                return NotProtected([Fault(None, answer.parser_output)], is_loader=True)
            case Failed():
                return NotProtected(answer.faults, is_loader=True)

    async def _protect(self, piece: Piece, deadline: float) -> WorkerAnswer:
        """Protect a text, and charge its account for the time that workers spend on it, whatever comes of that."""
        try:
            return await self._workshop.protect(piece, deadline=deadline)
        finally:
            spent_ms = math.ceil(piece.meter.seconds * SECOND_MS)
            if spent_ms:
                account, now = piece.project.account_id, self._clock()
                await self._database.run(lambda tx: quota.spend(tx, account, spent_ms, now=now))


def _unprotected(answer: Invalid | Failed) -> Broken | NotProtected:
    return Broken(answer.parser_output, answer.hint) if isinstance(answer, Invalid) else NotProtected(answer.faults)
