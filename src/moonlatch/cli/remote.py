"""Has a script protected by Luraph from the command line, with the developer's own key and without a server."""

from __future__ import annotations

import asyncio

from moonlatch.cli.output import CommandError
from moonlatch.luraph.order import Order, Received, Setting
from moonlatch.obfuscator.outcome import EngineError, Failure

JOB_SECONDS = 240.0
"""More than a server may be set to: nobody else waits for it, so it may use all three of the service's waits."""


def parsed_settings(given: list[str]) -> dict[str, Setting]:
    """Options as they are typed: `ID=VALUE`, where true and false are the values of a checkbox. Raises CommandError."""
    settings: dict[str, Setting] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise CommandError(
                f"{one!r} is not an option of Luraph", "Write it like TARGET_VERSION=Luau or INTENSE=true."
            )
        settings[name] = {"true": True, "false": False}.get(value, value)
    return settings


def ordered(order: Order, base_url: str | None) -> Received | Failure:
    """Have the order done, at the service itself when no address is given. A result that is not a script is a failure too.

    Raises CommandError for an address that the key should not be sent to.
    """
    from pydantic import ValidationError

    from moonlatch.config import LuraphSettings
    from moonlatch.luraph.engine import LuraphEngine, luraph_client
    from moonlatch.obfuscator.analysis.check import syntax_faults

    try:
        settings = LuraphSettings() if base_url is None else LuraphSettings(base_url=base_url)
    except ValidationError:
        raise CommandError(
            f"{base_url} is not an address for a key", "Write it like https://api.example.com/v1."
        ) from None

    async def done() -> Received | Failure:
        async with luraph_client() as client:
            engine = LuraphEngine(client, settings.model_copy(update={"job_seconds": JOB_SECONDS}))
            return await engine.protect(order, deadline=asyncio.get_running_loop().time() + JOB_SECONDS)

    received = asyncio.run(done())
    if isinstance(received, Received):
        faults = syntax_faults(received.text)
        if faults:
            return Failure([EngineError(None, f"Luraph's result is not a script: {faults[0].message}")])
    return received
