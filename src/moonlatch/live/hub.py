"""The sessions whose sockets this process holds, and the look again that ends them when they may not go on.

It asks the judge whom a heartbeat asks; it writes nothing and knows no wire format.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from moonlatch.clock import SECOND_MS, Clock
from moonlatch.licensing.variables import changing_variables, variables_hash
from moonlatch.licensing.verdict import Granted, Refusal, Running, RunningFacts
from moonlatch.live.directory import Directory
from moonlatch.live.interface import Connection, Instance, NoPlaceError, Session, Told, VariableOwner
from moonlatch.live.judge import Judge
from moonlatch.storage.interface import StorageError

TICK_SECONDS = 0.25
"""How exactly an expiry is met; well under the second it may take."""

SWEEP_SECONDS = 20
"""Within this time every session is looked at once, for changes that another process made, and shown that it stands."""

BLIND_SECONDS = 1.0
"""Between two looks while the database fails."""

_CHECKS_PER_SLICE = 100

logger = logging.getLogger(__name__)


class Member:
    """One open session."""

    __slots__ = ("connection", "instance", "session", "told")

    def __init__(self, session: Session, instance: Instance, connection: Connection, told: Told) -> None:
        self.session = session
        self.instance = instance
        self.connection = connection
        self.told = told


class Hub:
    """Open sessions by id, instance, script, key and project; started with `run`, which lasts until it is cancelled."""

    def __init__(
        self,
        judge: Judge,
        clock: Clock,
        *,
        stop: Callable[[Member, Refusal], None],
        keeps_place: Callable[[Instance, int], Awaitable[bool]],
    ) -> None:
        """`keeps_place` tells whether an instance may stay where its key has so many places."""
        self._judge = judge
        self._clock = clock
        self._stop = stop
        self._keeps_place = keeps_place
        self._members: dict[str, Member] = {}  # in the order in which the sweep takes them
        self._by_instance: dict[str, Member] = {}
        self._by_script: defaultdict[str, dict[str, Member]] = defaultdict(dict)
        self._by_user: defaultdict[str, dict[str, Member]] = defaultdict(dict)
        self._by_project: defaultdict[str, set[str]] = defaultdict(set)
        self.directory = Directory()
        self.changes = 0
        """As `Roster.changes`."""
        self._expiries: list[tuple[int, str]] = []
        self._sweep_due = 0.0
        self._due: dict[str, Member] = {}
        """To be looked at as soon as it can be."""

    def __len__(self) -> int:
        return len(self._members)

    def member(self, session_id: str) -> Member | None:
        return self._members.get(session_id)

    def of_instance(self, instance_id: str) -> Member | None:
        return self._by_instance.get(instance_id)

    def of_script(self, script_id: str) -> Iterable[Member]:
        """A script's members, in the order in which they joined."""
        return self._by_script.get(script_id, {}).values()

    def all(self) -> list[Member]:
        return list(self._members.values())

    def add(self, member: Member) -> None:
        session = member.session
        self._members[session.id] = member
        self.directory.add(session)
        self._by_instance[session.instance_id] = member
        self._by_script[session.script_id][session.id] = member
        self._by_project[session.project_id].add(session.script_id)
        if session.user_id is not None:
            self._by_user[session.user_id][session.id] = member
        self._expect_expiry(member)

    def remove(self, session_id: str) -> Member | None:
        """Take a session out of every index; None when it is not there."""
        member = self._members.pop(session_id, None)
        self._due.pop(session_id, None)
        if member is None:
            return None
        session = member.session
        self.directory.remove(session)
        if self._by_instance.get(session.instance_id) is member:
            del self._by_instance[session.instance_id]
        _discard(self._by_script, session.script_id, session_id)
        if session.script_id not in self._by_script:
            scripts = self._by_project[session.project_id]
            scripts.discard(session.script_id)
            if not scripts:
                del self._by_project[session.project_id]
        if session.user_id is not None:
            _discard(self._by_user, session.user_id, session_id)
        return member

    async def look_again_at_script(self, script_id: str) -> None:
        self.changes += 1
        await self.look_again_at(self.of_script(script_id))

    async def look_again_at_user(self, user_id: str) -> None:
        self.changes += 1
        await self.look_again_at(self._by_user.get(user_id, {}).values())

    async def look_again_at_instance(self, instance_id: str) -> None:
        self.changes += 1
        member = self._by_instance.get(instance_id)
        await self.look_again_at([] if member is None else [member])

    async def look_again_at_project(self, project_id: str) -> None:
        self.changes += 1
        for script_id in list(self._by_project.get(project_id, ())):
            await self.look_again_at(self.of_script(script_id))

    def forget_variable(self, owner: VariableOwner, owner_id: str, name: str) -> None:
        """Have the scripts that may have been told of a server variable ask for it anew."""
        if owner == "user":
            members = list(self._by_user.get(owner_id, {}).values())
        else:
            scripts = [owner_id] if owner == "script" else list(self._by_project.get(owner_id, ()))
            members = [member for script_id in scripts for member in self.of_script(script_id)]
        for member in members:
            member.connection.forget(name)

    async def run(self) -> None:
        """End sessions whose key expires, and sweep over all of them, for ever."""
        looking = asyncio.create_task(self._look_at_due())
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                for member in self._next_to_sweep():
                    # Also while the database fails, or takes its time: the session stands all the same.
                    member.connection.assure()
                    self._due[member.session.id] = member
                for member in self._expired():
                    self._due[member.session.id] = member
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look_at_due(self) -> None:
        """Look at those whose turn it is; while the database fails they wait, and are the first when it is back."""
        is_blind = False
        while True:
            await asyncio.sleep(BLIND_SECONDS if is_blind else TICK_SECONDS)
            try:
                while self._due:
                    session_id, member = next(iter(self._due.items()))
                    await self.look_again_at([member])
                    self._due.pop(session_id, None)
                    await asyncio.sleep(0)
            except StorageError as error:
                if not is_blind:
                    logger.warning("sessions cannot be looked at: %s", error)
                is_blind = True
            else:
                is_blind = False

    async def look_again_at(self, members: Iterable[Member]) -> None:
        """Ask for every member anew whether it may go on; lets others run in between."""
        for number, member in enumerate(list(members), start=1):
            if member.session.id in self._members:
                await self._check(member)
            if number % _CHECKS_PER_SLICE == 0:
                await asyncio.sleep(0)

    async def _check(self, member: Member) -> None:
        instance, now = member.instance, self._clock()

        async def go_on(facts: RunningFacts, granted: Granted) -> None:
            limit = granted.max_instances
            if limit is not None and not await self._keeps_place(instance, limit):
                raise NoPlaceError
            told = Told(variables_hash(facts, granted), granted.key_expires)
            if told != member.told:
                member.told = told
                member.connection.show(changing_variables(facts, granted, now))
                self._expect_expiry(member)

        copy = Running(
            instance.id,
            instance.script_id,
            instance.user_id,
            instance.fingerprint,
            True,
            instance.build,
            instance.started_at,
        )
        judged = await self._judge.judge(copy, now, go_on, shows_user=True)
        # Meanwhile it may have left, or another session of its instance may have taken over.
        if isinstance(judged, Refusal) and self._members.get(member.session.id) is member:
            self._stop(member, judged)

    def _expect_expiry(self, member: Member) -> None:
        if member.told.key_expires is not None:
            heapq.heappush(self._expiries, (member.told.key_expires, member.session.id))
            if len(self._expiries) > 2 * len(self._members) + SECOND_MS:
                self._drop_stale_expiries()

    def _drop_stale_expiries(self) -> None:
        # Sessions that left, or whose key was renewed, leave their entries behind.
        self._expiries = [
            (member.told.key_expires, member.session.id)
            for member in self._members.values()
            if member.told.key_expires is not None
        ]
        heapq.heapify(self._expiries)

    def _expired(self) -> list[Member]:
        now, expired = self._clock(), []
        while self._expiries and self._expiries[0][0] <= now:
            member = self._members.get(heapq.heappop(self._expiries)[1])
            if member is not None:
                expired.append(member)
        return expired

    def _next_to_sweep(self) -> list[Member]:
        """A tick's share of the members: those not swept for longest, who go to the end of the line."""
        self._sweep_due += len(self._members) * TICK_SECONDS / SWEEP_SECONDS
        share = int(self._sweep_due)
        self._sweep_due -= share
        swept = list(islice(self._members.items(), share))
        for session_id, member in swept:
            del self._members[session_id]
            self._members[session_id] = member
        return [member for _, member in swept]


def _discard(index: defaultdict[str, dict[str, Member]], name: str, session_id: str) -> None:
    members = index[name]
    members.pop(session_id, None)
    if not members:
        del index[name]
