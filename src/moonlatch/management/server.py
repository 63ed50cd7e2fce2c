"""What the account's server is: its address, its engines and whether they answer, and the tiers in force."""

from __future__ import annotations

import asyncio

from pydantic import Field

from moonlatch import __version__
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.tier import Tier
from moonlatch.management.auth import CurrentCaller
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.readiness import works
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router

router = resource_router("account")


class EngineView(Reply):
    """Something the server stands on."""

    name: str = Field(description="`database`, or `live`: who is connected")
    kind: str = Field(description="`sqlite`, `postgresql`; `memory`, `redis`")
    works: bool = Field(description="whether it answered just now")


class TierView(Reply):
    """What accounts of a tier may do; a limit of null is none."""

    name: str
    free_for_all: bool
    obfuscations_per_period: int | None
    build_seconds_per_period: int | None
    projects: int | None
    scripts: int | None
    users: int | None
    script_bytes: int
    build_history: int

    @classmethod
    def of(cls, tier: Tier) -> TierView:
        return cls(**tier.model_dump())


class ServerView(Reply):
    """The server as it runs now."""

    model_config = example(
        version="0.1.0",
        public_url="https://your.host",
        public_key="3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        engines=[
            {"name": "database", "kind": "sqlite", "works": True},
            {"name": "live", "kind": "memory", "works": True},
        ],
        tiers=[
            {
                "name": "free",
                "free_for_all": False,
                "obfuscations_per_period": 20,
                "build_seconds_per_period": 1_800,
                "projects": 1,
                "scripts": 3,
                "users": 100,
                "script_bytes": 8_388_608,
                "build_history": 10,
            }
        ],
    )

    version: str
    public_url: str = Field(description="at which running scripts reach it: loaders are at its `/loader/SCRIPT_ID`")
    public_key: str = Field(
        description="the installation's Ed25519 key in hex, which loaders check signatures with: what `moonlatch_key` is"
    )
    engines: list[EngineView]
    tiers: list[TierView] = Field(description="those there are; the account's own is named by `GET /account`")


class ServerReply(Success):
    server: ServerView


@router.get("/server", summary="Get the server", openapi_extra=needs(Permission.ACCOUNT_READ))
async def get_server(_caller: CurrentCaller, backend: CurrentBackend) -> ServerReply:
    """Its address, whether its engines answer, and the tiers in force. Answered within 2 seconds."""
    about = backend.about
    answers = await asyncio.gather(*(works(each.name, each.check) for each in about.engines))
    return ServerReply(
        server=ServerView(
            version=__version__,
            public_url=about.public_url,
            public_key=backend.keyring.public_key.hex(),
            engines=[
                EngineView(name=each.name, kind=each.kind, works=answer)
                for each, answer in zip(about.engines, answers, strict=True)
            ],
            tiers=[TierView.of(tier) for tier in backend.world.tiers.values()],
        )
    )
