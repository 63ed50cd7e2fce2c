"""How a script is protected: its own settings, and what its next update will be protected with."""

from __future__ import annotations

from pydantic import Field

from moonlatch.errors import not_found
from moonlatch.licensing.roles import Permission
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.owned import OwnedScript
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router

router = resource_router("scripts")


class EffectiveProtection(Reply):
    """What an update that asks for nothing itself is protected with."""

    profile: str
    target: str | None
    engine: str


class ProtectionView(Reply):
    """The script's settings, null where it leaves the choice to others, and what comes of them."""

    model_config = example(
        profile="maximum",
        target=None,
        engine=None,
        effective={"profile": "maximum", "target": None, "engine": "embedded"},
    )

    profile: str | None
    target: str | None
    engine: str | None
    effective: EffectiveProtection = Field(
        description="what the next update is protected with: `profile`, `target` (null: wherever its source runs), `engine`"
    )


class ProtectionReply(Success):
    protection: ProtectionView


@router.get(
    "/scripts/{script_id}/protection", summary="Get a script's protection", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def get_protection(script: OwnedScript, backend: CurrentBackend) -> ProtectionReply:
    """How the script is set to be protected, and what its next update will be protected with."""
    effective = await backend.publisher.protection(script)
    if effective is None:
        raise not_found("script")
    return ProtectionReply(
        protection=ProtectionView(
            profile=script.profile,
            target=script.target,
            engine=script.engine,
            effective=EffectiveProtection(profile=effective.profile, target=effective.target, engine=effective.engine),
        )
    )
