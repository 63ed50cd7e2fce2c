"""What the handlers work with, handed over by the composition root. Holds no rule and starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from moonlatch.builds.publisher import Publisher
from moonlatch.clock import Clock
from moonlatch.keyring import Keyring
from moonlatch.licensing.tier import Tier
from moonlatch.live.interface import Live
from moonlatch.management.last_uses import LastUses
from moonlatch.management.newsroom import Newsroom
from moonlatch.management.readiness import About, Readiness
from moonlatch.management.sign_in_limits import FailedSignIns, SignInLimits
from moonlatch.metrics.exposition import Exposition
from moonlatch.operations.changing import keyring_of
from moonlatch.operations.context import World
from moonlatch.operations.passwords import Passwords
from moonlatch.storage.accounts import Account
from moonlatch.storage.interface import Database
from moonlatch.web.limits import RateLimit
from moonlatch.web.origin import Origins
from moonlatch.web.turns import Turns


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything behind the API. Times come from `clock`, in Unix milliseconds."""

    world: World
    live: Live
    publisher: Publisher
    max_body_bytes: int
    about: About
    readiness: Readiness
    exposition: Exposition
    metrics_token: str
    """Reads `/metrics`; empty: only this machine itself does."""
    token_uses: LastUses
    session_uses: LastUses
    refusals_noted: RateLimit
    """How often the same refusal leaves an event."""
    origins: Origins
    passwords: Passwords
    sign_in_limits: SignInLimits
    failed_sign_ins: FailedSignIns
    newsroom: Newsroom
    licences_made: RateLimit
    """How many an account is made."""
    turns: Turns
    """Calls take them, so that many at once leave the loop to others in between."""

    @property
    def database(self) -> Database:
        return self.world.database

    @property
    def keyring(self) -> Keyring:
        return keyring_of(self.world)

    @property
    def clock(self) -> Clock:
        return self.world.clock

    def tier_of(self, account: Account) -> Tier:
        return self.world.tier_of(account)


def backend_of(request: Request) -> Backend:
    return cast("Backend", request.app.state.backend)


async def _depended_on(request: Request) -> Backend:
    """Asynchronous though it waits for nothing: FastAPI would hand any other to a thread, for every call."""
    return backend_of(request)


CurrentBackend = Annotated[Backend, Depends(_depended_on)]
