"""The one judge of running copies: whoever beats, opens a session or has one is judged here, by the same facts, rules and count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from moonlatch.licensing.verdict import Granted, Policy, Refusal, Running, RunningFacts, decide_running
from moonlatch.live.interface import NoPlaceError
from moonlatch.storage.licences import Licences

T = TypeVar("T")


class Judge:
    """Judges a copy by its beat, or by its session, for which is asked what the script is shown of its user, too."""

    __slots__ = ("_licences", "_policy")

    def __init__(self, licences: Licences, policy: Policy) -> None:
        self._licences = licences
        self._policy = policy

    async def of_beat(
        self, copy: Running, now_ms: int, admit: Callable[[RunningFacts, Granted], Awaitable[T]]
    ) -> T | Refusal:
        """What `admit` gives for a copy that may go on, or why it may not. Raises StorageError, and what `admit` raises.

        `admit` counts the copies of the key and lets this one go on in one step; it raises NoPlaceError when there are
        `Granted.max_instances` without it.
        """
        return await self._judge(copy, await self._licences.for_heartbeat(copy, now_ms), now_ms, admit)

    async def of_session(
        self, copy: Running, now_ms: int, admit: Callable[[RunningFacts, Granted], Awaitable[T]]
    ) -> T | Refusal:
        """As `of_beat`."""
        return await self._judge(copy, await self._licences.for_session(copy, now_ms), now_ms, admit)

    async def _judge(
        self,
        copy: Running,
        facts: RunningFacts | None,
        now_ms: int,
        admit: Callable[[RunningFacts, Granted], Awaitable[T]],
    ) -> T | Refusal:
        verdict = decide_running(facts, copy, self._policy, now_ms)
        if isinstance(verdict, Refusal):
            return verdict
        assert facts is not None  # no script, no grant
        try:
            return await admit(facts, verdict)
        except NoPlaceError as error:
            return error.refusal
