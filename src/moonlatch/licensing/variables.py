"""The runtime variables a script sees of its user. Pure: facts in, a JSON object out."""

from __future__ import annotations

from typing import Any

from moonlatch.licensing.key import seconds_left
from moonlatch.licensing.verdict import Granted, RunningFacts, StartFacts


def start_variables(
    facts: StartFacts, granted: Granted, *, executions: int, supports_sessions: bool, now_ms: int
) -> dict[str, Any]:
    """Every variable, as a start gives them. `executions` counts this one; it is 0 without a valid key."""
    return {
        **changing_variables(facts, granted, now_ms),
        "la_executions": executions,
        "la_exists": True,
        "la_supports_sessions": supports_sessions,
        "la_script_build": facts.build,
    }


def changing_variables(facts: StartFacts | RunningFacts, granted: Granted, now_ms: int) -> dict[str, Any]:
    """Those a developer's edit can change while the script runs. Without a valid key nothing is told of the user."""
    return {
        "la_is_premium": granted.premium,
        "la_discord_id": facts.discord_id if granted.premium else None,
        "la_seconds_left": seconds_left(granted.key_expires, now_ms),
        "la_user_note": facts.note if granted.premium else None,
        "la_script_name": facts.script_name,
    }


def variables_hash(facts: RunningFacts, granted: Granted) -> int:
    """Equal for two moments whose `changing_variables` differ by the passing of time only."""
    if not granted.premium:
        return hash((False, facts.script_name))
    return hash((True, facts.script_name, facts.discord_id, facts.note, granted.key_expires))
