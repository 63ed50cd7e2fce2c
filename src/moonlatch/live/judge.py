"""The one judge of running copies: whoever beats, opens a session or has one is judged here, by the same facts, rules and count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from moonlatch.licensing.verdict import Granted, Policy, Refusal, Running, RunningFacts, decide_running
from moonlatch.live.interface import NoPlaceError
from moonlatch.storage.licences import Licences

T = TypeVar("T")


class Judge:
    """Asks for the facts, decides, and has the copy counted and let go on in one step."""

    __slots__ = ("_licences", "_policy")

    def __init__(self, licences: Licences, policy: Policy) -> None:
        self._licences = licences
        self._policy = policy

    async def judge(
        self,
        copy: Running,
        now_ms: int,
        admit: Callable[[RunningFacts, Granted], Awaitable[T]],
        *,
        shows_user: bool,
    ) -> tuple[Granted, T] | Refusal:
        """Why the copy may not go on, or what it is granted and what `admit` gave. Raises StorageError, and what `admit` raises.

        `admit` counts the copies of the key and lets this one go on, in one step; it raises NoPlaceError when there are
        `Granted.max_instances` without it. `shows_user`: the facts have what the script is shown of its user.
        """
        ask = self._licences.for_session if shows_user else self._licences.for_heartbeat
        facts = await ask(copy, now_ms)
        verdict = decide_running(facts, copy, self._policy, now_ms)
        if isinstance(verdict, Refusal):
            return verdict
        assert facts is not None  # no script, no grant
        try:
            return verdict, await admit(facts, verdict)
        except NoPlaceError as error:
            return error.refusal
