"""How an update is protected: what it asks for itself, then what its script, its project and the server are set to. Pure."""

from __future__ import annotations

import msgspec

from moonlatch.obfuscator.engine_name import EngineName
from moonlatch.obfuscator.options import PLAINEST_PROFILE
from moonlatch.obfuscator.target import Target
from moonlatch.storage.builds import Protection
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script

LOADER_PROFILE = "maximum"
"""Whatever its script is protected with: a loader holds the secret that the delivery of every payload rests on."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one update asks for; None leaves it to the script's settings."""

    profile: str | None = None
    target: str | None = None
    engine: str | None = None


def protection_of(script: Script, project: Project, *, server_profile: str, asked: Asked | None = None) -> Protection:
    """What an update of the script is protected with. The profile is our own engine's: others get the plainest form."""
    asked = asked or Asked()
    engine = asked.engine or script.engine or project.engine
    profile = asked.profile or script.profile or server_profile
    return Protection(
        profile=profile if engine == EngineName.EMBEDDED else PLAINEST_PROFILE,
        target=asked.target or script.target,
        engine=engine,
    )


def loader_protection(script: Protection) -> Protection:
    """What the loader of a script is protected with: its script's engine, for every Lua that our own one can write for."""
    if script.engine == EngineName.EMBEDDED:
        return Protection(profile=LOADER_PROFILE, target=Target.LUA51, engine=script.engine)
    return Protection(profile=PLAINEST_PROFILE, target=script.target, engine=script.engine)
