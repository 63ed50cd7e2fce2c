"""What the handlers work with, handed over by the composition root. Holds no rule and starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol, cast

from fastapi import Depends, Request

from moonlatch.builds.protection import Asked
from moonlatch.clock import Clock
from moonlatch.crypto import Keyring
from moonlatch.licensing.tier import Tier
from moonlatch.live.interface import Live
from moonlatch.management.readiness import Readiness
from moonlatch.metrics.exposition import Exposition
from moonlatch.operations.context import World
from moonlatch.storage.accounts import Account
from moonlatch.storage.builds import Protection
from moonlatch.storage.interface import Database
from moonlatch.storage.scripts import Script
from moonlatch.web.limits import RateLimit


class PublishedBuild(Protocol):
    """What a successful update tells."""

    @property
    def build(self) -> int: ...

    @property
    def warnings(self) -> Any: ...


class Publishing(Protocol):
    """The update pipeline, as far as the API knows it; `builds.publisher.Publisher` is one."""

    async def protection(self, script: Script) -> Protection:
        """What an update of the script is protected with when it asks for nothing. Raises ApiError when it is gone."""
        ...

    async def update(self, account: Account, script: Script, source: str, asked: Asked | None = None) -> PublishedBuild:
        """Publish `source` as the script's next build. Raises ApiError with the codes 0 to 5 of the update endpoint."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything behind the API. Times come from `clock`, in Unix milliseconds."""

    world: World
    live: Live
    publisher: Publishing
    max_body_bytes: int
    minimum_loader_version: int
    readiness: Readiness
    exposition: Exposition
    metrics_token: str
    """Reads `/metrics`; empty: only this machine itself does."""
    refusals_noted: RateLimit
    """How often the same refusal leaves an event."""

    @property
    def database(self) -> Database:
        return self.world.database

    @property
    def keyring(self) -> Keyring:
        return self.world.keyring

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
