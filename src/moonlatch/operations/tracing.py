"""Whose copy was leaked: reads a text by the templates of a script's builds, looks for run keys in it, and scores every key of its project."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from heapq import nlargest

from moonlatch.builds.job import (
    TEMPLATE,
    Failed,
    FindRunKeys,
    Invalid,
    LeakRead,
    MatchRunKeys,
    ReadLeak,
    RunKeysFound,
    Scored,
    ScoreHolders,
    TraceAnswer,
    TraceTask,
)
from moonlatch.builds.leaks import MOST_SECONDS, LeakReader
from moonlatch.builds.places import PoolBusyError
from moonlatch.builds.pool import Meter
from moonlatch.builds.publisher import BUSY_RETRY_SECONDS, UPDATE_SECONDS
from moonlatch.crypto import UnreadableSecretError
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.tracing import Suspect
from moonlatch.obfuscator.run_lock import chance
from moonlatch.operations.changing import Change, Intent, keyring_of, perform
from moonlatch.operations.context import Actor, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.marking import code_of, holder_of_key, key_of_holder, opened, secret_of
from moonlatch.operations.refusals import Invalid as NotValid
from moonlatch.operations.refusals import NotFound, Reason, Refused, TooLarge, TryLater
from moonlatch.operations.run_keys import secret_of as secret_of_run_keys
from moonlatch.operations.scripts import resource
from moonlatch.storage import templates, users
from moonlatch.storage.scripts import Script
from moonlatch.storage.users import User

MOST_BYTES = 4 * 1024 * 1024
"""Of a leak."""
MOST_SHOWN = 20
MOST_BUILDS = 50
"""Whose templates are tried, the newest first."""
_IS_THE_BUILD = 0.5
"""Of a template's places: with so many read, no other build is tried."""
_NEARLY_AS_MUCH = 0.8
"""Of the places read by the build of which most was read: others with so many are as probably the leak's own."""
MOST_SCORED = 5
"""Builds, the newest first. A text that was brought back to source is read alike by every build of that source, and words differ."""
_KEYS_AT_ONCE = 20_000
_UNREAD = (Reason.NOT_MARKED, Reason.NOT_READ, Reason.NOT_TRACED)
"""What a run key in the file still names somebody after."""
_TOO_MUCH = f"it took longer than the {UPDATE_SECONDS} s that a trace may take; name the build that the file is of, or leave out what is not of the script"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a leak tells: of which build it is, how many of its places were read, and the keys that agree most, highest first.

    `run_keys` are those that a run key in it may be of; its score is the number of words that are. Where only that was found, `build` is None.
    It is evidence; what follows from it is for people to decide. `suspects` have users' ids, also of users who were removed meanwhile, and `users` those that are there, by id.
    """

    build: int | None
    places: int
    read: int
    keys: int
    suspects: list[Suspect]
    run_keys: list[Suspect]
    users: dict[str, User]


async def trace(
    world: World,
    actor: Actor,
    script: Script,
    leaked: str,
    *,
    build: int | None = None,
    intent: Intent[Trace] | None = None,
) -> Trace:
    """Hold a leaked text against the builds of a script, or one of them, and every key of its project; it leaves an event.

    Raises NotAllowed, NotFound, Invalid, TooLarge, Refused, TryLater.
    """
    actor.require(Permission.KEYS_REVEAL)
    if world.publisher is None:
        raise NotFound("script")
    text = leaked.encode("utf-8", "replace")
    if len(text) > MOST_BYTES:
        raise TooLarge("file", limit_bytes=MOST_BYTES, has_bytes=len(text))
    deadline = asyncio.get_running_loop().time() + UPDATE_SECONDS
    leaks = world.publisher.leaks
    try:
        async with leaks.turn(actor.account_id, deadline=deadline) as meter:
            found = await _Tracer(world, script, leaks, meter, deadline).trace(text, build)
    except PoolBusyError:
        raise TryLater(BUSY_RETRY_SECONDS) from None
    return await perform(world, actor, lambda change: _note(change, script.id, found), intent)


async def _note(change: Change, script_id: str, found: Trace) -> Trace:
    change.actor.require(Permission.KEYS_REVEAL)
    script = await change.script(script_id)
    named = len({suspect.holder for suspect in (*found.suspects, *found.run_keys) if suspect.is_named})
    changes = {"build": (None, found.build), "read": (None, found.read), "named": (None, named)}
    change.record(EventKind.SCRIPT_TRACED, resource(script), project_id=script.project_id, changes=changes)
    return found


class _Tracer:
    def __init__(self, world: World, script: Script, leaks: LeakReader, meter: Meter, deadline: float) -> None:
        self._world = world
        self._script = script
        self._keyring = keyring_of(world)
        self._leaks = leaks
        self._meter = meter
        self._deadline = deadline

    async def trace(self, text: bytes, build: int | None) -> Trace:
        run_keys, keyed = await self._run_keys(text)
        number: int | None = None
        read: list[int | None] = []
        suspects: list[Suspect] = []
        try:
            builds = await self._builds_of(text, build)
        except (Refused, NotValid) as error:
            is_unread = isinstance(error, NotValid) or error.reason in _UNREAD
            if not is_unread or not any(suspect.is_named for suspect in run_keys):
                raise
            count = keyed
        else:
            for candidate, bits in builds:
                found, count = await self._suspects(candidate, bits, among=len(builds))
                if number is None or _least_chance(found) < _least_chance(suspects):
                    number, read, suspects = candidate, bits, found
        holders = await users.find_all(
            self._world.database,
            self._script.project_id,
            list({suspect.holder for suspect in (*suspects, *run_keys)}),
        )
        return Trace(
            build=number,
            places=len(read),
            read=sum(bit is not None for bit in read),
            keys=count,
            suspects=suspects,
            run_keys=run_keys,
            users={user.id: user for user in holders},
        )

    async def _suspects(self, number: int, read: list[int | None], *, among: int) -> tuple[list[Suspect], int]:
        """By the marks of a build, one `among` so many that are tried, and how many keys there were."""
        best, count = await self._scored(number, read)

        def judged() -> list[Suspect]:
            trial = code_of(self._keyring, self._script.id, number, len(read)).trial(read)
            return trial.judged([(score, key_of_holder(holder)) for score, holder in best], among * count)

        # The bounds of many places take longer than others may wait for the loop.
        return await asyncio.to_thread(judged), count

    async def _run_keys(self, text: bytes) -> tuple[list[Suspect], int]:
        """Whose run keys may be in it, and how many keys there were; nobody's and none where nothing looks like one."""
        answer = await self._done(FindRunKeys(leaked=text))
        if not isinstance(answer, RunKeysFound):
            raise _failure(answer)
        keys = answer.keys
        if not keys:
            return [], 0
        secret = secret_of_run_keys(self._keyring, self._script.id)
        best, count = await self._best(
            lambda holders: MatchRunKeys(secret=secret, keys=keys, holders=holders, most=MOST_SHOWN)
        )
        return [
            Suspect(key_of_holder(holder), words, min(1.0, len(keys) * count * chance(int(words))))
            for words, holder in best
        ], count

    async def _builds_of(self, text: bytes, build: int | None) -> list[tuple[int, list[int | None]]]:
        """The builds that it may be of, and what was read by each: more than one where nearly as much was read by others."""
        known = await templates.list_of_script(self._world.database, self._script.id)
        tried = [one for one in known if one.places and build in (None, one.build)][:MOST_BUILDS]
        if not tried:
            raise Refused(Reason.NOT_MARKED)
        read_by: list[tuple[int, int, list[int | None]]] = []
        damaged: list[int] = []
        for one in tried:
            read = await self._read(one.build, text)
            if read is None:  # the others may be what it is of
                damaged.append(one.build)
                continue
            count = sum(bit is not None for bit in read)
            read_by.append((count, one.build, read))
            if count >= _IS_THE_BUILD * len(read):
                return [(one.build, read)]
        most = max((count for count, _, _ in read_by), default=0)
        if not most:
            raise Refused(Reason.NOT_TRACED, hint=_damage(damaged)) if damaged else Refused(Reason.NOT_READ)
        return [(number, read) for count, number, read in read_by if count >= _NEARLY_AS_MUCH * most][:MOST_SCORED]

    async def _read(self, build: int, text: bytes) -> list[int | None] | None:
        """What a build's template finds in the text; None where the template is damaged, or its master key is not here."""
        try:
            template = await opened(self._world.database, self._keyring, self._script.id, build)
        except UnreadableSecretError:
            return None
        if template is None:  # its script was removed meanwhile
            raise NotFound("script")
        answer = await self._done(ReadLeak(template=template, leaked=text))
        match answer:
            case LeakRead():
                return answer.read
            case Invalid():
                raise NotValid("file", f"is not a script: {answer.first_fault}")
            case Failed() if answer.faults[0].param == TEMPLATE:
                return None
            case _:
                raise _failure(answer)

    async def _scored(self, build: int, read: list[int | None]) -> tuple[list[tuple[float, str]], int]:
        """The highest scores and whose they are, and how many keys there were."""
        secret = secret_of(self._keyring, self._script.id, build)
        return await self._best(
            lambda holders: ScoreHolders(secret=secret, read=read, holders=holders, most=MOST_SHOWN)
        )

    async def _best(
        self, task_of: Callable[[list[str]], ScoreHolders | MatchRunKeys]
    ) -> tuple[list[tuple[float, str]], int]:
        best: list[tuple[float, str]] = []
        count = 0
        async for holders in self._holders():
            answer = await self._done(task_of(holders))
            if not isinstance(answer, Scored):
                raise _failure(answer)
            count += len(holders)
            best = nlargest(MOST_SHOWN, [*best, *answer.best])
        return best, count

    async def _done(self, task: TraceTask) -> TraceAnswer:
        """Have one task of it done. Raises PoolBusyError for time that went by with waiting, Refused for time that the trace took itself."""
        with contextlib.suppress(PoolBusyError):
            answer = await self._leaks.traced(task, self._meter, deadline=self._deadline)
            if asyncio.get_running_loop().time() < self._deadline:
                return answer
        if self._meter.seconds < MOST_SECONDS:
            raise PoolBusyError
        raise Refused(Reason.NOT_TRACED, hint=_TOO_MUCH)

    async def _holders(self) -> AsyncIterator[list[str]]:
        after = users.FIRST
        while True:
            found = await users.ids_of_project(
                self._world.database, self._script.project_id, after=after, most=_KEYS_AT_ONCE
            )
            if found:
                yield [holder_of_key(user_id) for _, user_id in found]
            if len(found) < _KEYS_AT_ONCE:
                return
            after = found[-1]


def _least_chance(suspects: list[Suspect]) -> float:
    return min((suspect.chance for suspect in suspects), default=1.0)


def _damage(builds: list[int]) -> str:
    which = ", ".join(map(str, builds[:MOST_SHOWN])) + (" ..." if len(builds) > MOST_SHOWN else "")
    return f"what the copies of build {which} are told by cannot be read: it is damaged, or a master key is missing"


def _failure(answer: object) -> Refused:
    message = answer.faults[0].message if isinstance(answer, Failed) else "the worker process answered something else"
    return Refused(Reason.NOT_TRACED, hint=message)
