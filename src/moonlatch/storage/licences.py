"""The queries that answer a start, a heartbeat or a session's recheck: the hot path. Decides nothing.

What concerns the script is the same for all its clients, so it is asked for by itself: an engine reads it once per snapshot.
"""

# ruff: noqa: S608 -- what is put into the statements is this module's own lists of columns and tables

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from moonlatch.licensing.rollout import channel_by_role, plan_of
from moonlatch.licensing.verdict import Facts, Running, RunningFacts, StartFacts
from moonlatch.storage.interface import Database, HotRow, Query, Transaction, parameter_names

AnyFacts = TypeVar("AnyFacts", bound=Facts)

# Together in the field order of `licensing.verdict.StartFacts` and `RunningFacts`: rows are unpacked into them by position.
# Every column costs the driver as much as a row of an index, so what hardly anybody needs is not among them.
_OF_SCRIPT = """
    s.project_id, s.name, s.free_for_all, s.use_heartbeat, s.kick_outdated, s.require_sessions, s.enabled, s.build,
    a.expires_at, p.max_instances, s.plan
"""
# Only who comes from another device than the first one has the others looked at.
_DEVICE = """
    case when u.fingerprint is null or u.fingerprint = :fingerprint then u.fingerprint else coalesce(
        (select d.fingerprint from key_devices d where d.user_id = u.id and d.fingerprint = :fingerprint), u.fingerprint) end
"""
_OF_USER = f"u.id, u.key_expires, u.max_instances, u.fingerprintless, {_DEVICE}, {{kept_out}}, r.user_id"
_STARTING_USER = _OF_USER.format(
    kept_out="u.blacklisted or u.held_by is not null or (u.locked_to is not null and u.executions = 0)"
)
"""A start asks further for a key that is on hold or locked to a network, too; then `blacklisted` is what it says."""

_RUNNING_USER = _OF_USER.format(kept_out="u.blacklisted")
_SHOWN = "u.discord_id, u.note"
_USER = """
    from (select 1) nobody
    left join users u on {named} and u.project_id = :project
    left join bars r on r.project_id = :project and r.fingerprint = :fingerprint
        and (r.expires_at is null or r.expires_at > :now)
"""
_BY_KEY = _USER.format(named="u.key_hash = :key_hash")
_BY_ID = _USER.format(named="u.id = :user")
_INSTANCE = "left join executions e on e.id = :instance"

_HAS_BARRED_NETWORKS = "exists (select 1 from bars b where b.project_id = s.project_id and b.kind = 'network')"

START_SCRIPT = Query(
    "licences.start_script",
    f"""
    select {_OF_SCRIPT}, l.version, l.valid_until, {_HAS_BARRED_NETWORKS}, p.require_fingerprint, s.offline_days,
        s.place_seconds, s.report_errors, s.mark_copies
    from scripts s
    join accounts a on a.id = :account
    join projects p on p.id = s.project_id
    left join loaders l on l.id = :loader and l.script_id = s.id
    where s.id = :script
    """,
    shared=True,
    is_hot=True,
)
_ONLY_OF_STARTS = 8
"""Columns of that one behind those that a running copy's verdict needs, too."""
START_USER = Query(
    "licences.start_user",
    f"select {_STARTING_USER}, {_SHOWN}, u.executions, u.key_days, u.max_executions {_BY_KEY} limit 1",
    is_hot=True,
)
# By itself, because most scripts have no pins. Of those of all scripts the key's own row has a text: to find the one among the pins of
# everybody costs a start more than all else that is asked of the user.
START_PINNED_USER = Query(
    "licences.start_pinned_user",
    f"select {_STARTING_USER}, {_SHOWN}, u.executions, u.key_days, u.max_executions, u.role_channels, u.pins {_BY_KEY} limit 1",
    is_hot=True,
)
RUNNING_SCRIPT = Query(
    "licences.running_script",
    f"""
    select {_OF_SCRIPT}
    from scripts s join accounts a on a.id = :account join projects p on p.id = s.project_id where s.id = :script
    """,
    shared=True,
    is_hot=True,
)
BEATING_USER = Query(
    "licences.beating_user",
    f"select {_RUNNING_USER}, e.stopped, u.instances_since {_BY_ID} {_INSTANCE} limit 1",
    is_hot=True,
)
CONNECTED_USER = Query(
    "licences.connected_user",
    f"select {_RUNNING_USER}, e.stopped, u.instances_since, {_SHOWN}, e.executor {_BY_ID} {_INSTANCE} limit 1",
    is_hot=True,
)
BLACKLISTING = Query(
    "licences.blacklisting",
    f"""
    select u.blacklisted, u.blacklist_reason, u.blacklist_expires, r.user_id, ru.blacklist_reason, r.expires_at,
        u.held_by, u.held_until, case when u.executions = 0 then u.locked_to end
    {_BY_ID} left join users ru on ru.id = r.user_id limit 1
    """,
    is_hot=True,
)
PIN = Query(
    "licences.pin",
    """
    select p.channel, case when p.expires_at is null or p.expires_at > :now then p.build end, u.role_channels
    from users u left join pins p on p.user_id = u.id and p.script_id = :script where u.id = :user
    """,
    is_hot=True,
)
# What `Licences` gives them, in this order.
assert parameter_names(START_SCRIPT.sql) == ("account", "loader", "script")
assert parameter_names(START_USER.sql) == ("fingerprint", "key_hash", "project", "now")
assert parameter_names(START_PINNED_USER.sql) == ("fingerprint", "key_hash", "project", "now")
assert parameter_names(BLACKLISTING.sql) == ("user", "project", "fingerprint", "now")
assert parameter_names(PIN.sql) == ("now", "script", "user")
assert parameter_names(RUNNING_SCRIPT.sql) == ("account", "script")
assert parameter_names(BEATING_USER.sql) == ("fingerprint", "user", "project", "now", "instance")
assert parameter_names(CONNECTED_USER.sql) == ("fingerprint", "user", "project", "now", "instance")

OWNER = Query(
    "licences.owner",
    """
    select s.project_id, p.account_id from scripts s join projects p on p.id = s.project_id where s.id = :script
    """,
)
NETWORK_BAR = Query(
    "licences.network_bar",
    """
    select u.blacklist_reason, r.expires_at from bars r join users u on u.id = r.user_id
    where r.project_id = :project and r.fingerprint = :network and (r.expires_at is null or r.expires_at > :now) limit 1
    """,
)
HAS_FREE_DEVICE = Query(
    "licences.has_free_device",
    """
    select 1 + (select count(*) from key_devices d where d.user_id = u.id) < coalesce(u.max_devices, p.max_devices)
    from users u join projects p on p.id = u.project_id where u.id = :user
    """,
)
# By way of the key's own system; what an earlier start bound counts, however often its key is started.
HAS_FULL_DEVICE = Query(
    "licences.has_full_device",
    """
    select (select count(*) from users k
        where k.project_id = :project and k.fingerprint = :fingerprint and k.locked_to is not null and k.created_at > :since
    ) >= y.device_daily_keys
    from ad_grants g join ad_systems y on y.id = g.system_id where g.user_id = :user order by g.made_at limit 1
    """,
)
USER_WITH_KEY = Query("licences.user_with_key", "select id from users where key_hash = :key_hash")
LOADER = Query("licences.loader", "select loader from scripts where id = :script")
LOADER_SOURCE = Query("licences.loader_source", "select source from loaders where id = :loader and script_id = :script")
PAYLOAD = Query("licences.payload", "select payload from builds where script_id = :script and number = :number")
RUN_LOCK = Query("licences.run_lock", "select run_lock from builds where script_id = :script and number = :number")


class StartQuestion(msgspec.Struct, frozen=True, gc=False):
    """Who wants to start what; `key_hash` and `fingerprint` are keyed hashes, `now` in Unix milliseconds."""

    script: str
    loader: str
    key_hash: bytes | None
    fingerprint: bytes | None
    now: int


class Owner(msgspec.Struct, frozen=True):
    """Whose script it is; never changes."""

    script: str
    project: str
    account: str


class _Asked:
    """A transaction, asked as a database is."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.fetch_one = tx.fetch_one

    async def ask(self, query: Query, values: tuple[Any, ...]) -> HotRow | None:
        row = await self._tx.fetch_one(query, **dict(zip(parameter_names(query.sql), values, strict=True)))
        return None if row is None else tuple(row)


async def facts_in(tx: Transaction, owner: Owner, question: StartQuestion) -> StartFacts | None:
    """As `Licences.for_start`, of what the transaction sees."""
    return await Licences(_Asked(tx)).for_start(owner, question)


class Licences:
    """Answers both questions. Keeps nothing but whose script is whose, which saves a join at every heartbeat."""

    def __init__(self, database: Database | _Asked, max_owners: int = 10_000) -> None:
        self._database = database
        self._max_owners = max_owners
        self._owners: dict[str, Owner] = {}

    def known_owner(self, script: str) -> Owner | None:
        """As `owner`, if it was asked for before."""
        return self._owners.get(script)

    async def owner(self, script: str) -> Owner | None:
        """The script's project and account; None when there is no such script. It may be gone in the meantime."""
        row = await self._database.fetch_one(OWNER, script=script)
        if row is None:
            return None
        if len(self._owners) >= self._max_owners:
            self._owners.clear()
        owner = self._owners[script] = Owner(script, *row)
        return owner

    async def for_start(self, owner: Owner, question: StartQuestion) -> StartFacts | None:
        """Everything the verdict on a start of this owner's script depends on; None when there is no such script any more."""
        ask = self._database.ask
        script = ask(START_SCRIPT, (owner.account, question.loader, question.script))
        if not (script is None or isinstance(script, tuple)):
            script = await script
        if script is None:
            return None
        text: str | None = script[-1 - _ONLY_OF_STARTS]
        plan = None if text is None else plan_of(text)
        has_pins = plan is not None and plan.has_pins
        user = ask(
            START_PINNED_USER if has_pins else START_USER,
            (question.fingerprint, question.key_hash, owner.project, question.now),
        )
        if not (user is None or isinstance(user, tuple)):
            user = await user
        assert user is not None  # a row of nothing, when there is no such user
        if plan is not None and has_pins and (user[-1] or user[-2]) is not None:
            channel, pin = _pin_in(user[-1], question.script, question.now)
            if channel is None:
                channel = channel_by_role(plan, user[-2])
            facts = StartFacts(
                *(script[:-_ONLY_OF_STARTS] + user[:-2] + script[-_ONLY_OF_STARTS:]), channel=channel, pin=pin
            )
        elif has_pins:
            facts = StartFacts(*(script[:-_ONLY_OF_STARTS] + user[:-2] + script[-_ONLY_OF_STARTS:]))
        else:
            facts = StartFacts(*(script[:-_ONLY_OF_STARTS] + user + script[-_ONLY_OF_STARTS:]))
        if facts.blacklisted or facts.barred_by is not None:
            facts = await self._with_reason(facts, (facts.user_id, owner.project, question.fingerprint, question.now))
        if facts.fingerprint != question.fingerprint and None not in (facts.fingerprint, question.fingerprint):
            return msgspec.structs.replace(facts, has_free_device=await self.has_free_device(facts.user_id))
        return facts

    async def in_network(self, facts: StartFacts, network: bytes, now_ms: int) -> StartFacts:
        """The facts of a start that comes from there, where the project keeps networks out."""
        row = await self._database.fetch_one(NETWORK_BAR, project=facts.project_id, network=network, now=now_ms)
        if row is None or facts.barred_by is not None:
            return facts
        reason, expires = row
        return msgspec.structs.replace(facts, is_network_barred=True, bar_reason=reason, bar_expires=expires)

    async def has_free_device(self, user_id: str | None) -> bool:
        """Return whether a key is bound to fewer devices than it may be."""
        row = await self._database.fetch_one(HAS_FREE_DEVICE, user=user_id)
        return row is not None and bool(row[0])

    async def has_full_device(self, facts: StartFacts, fingerprint: bytes | None, since_ms: int) -> bool:
        """Return whether a device has had as many keys of checkpoints since then as it may have in a day."""
        if fingerprint is None:
            return False
        row = await self._database.fetch_one(
            HAS_FULL_DEVICE, project=facts.project_id, fingerprint=fingerprint, user=facts.user_id, since=since_ms
        )
        return row is not None and bool(row[0])

    def for_heartbeat(self, copy: Running, now_ms: int) -> Coroutine[Any, Any, RunningFacts | None]:
        """Everything a running copy's verdict depends on; None when the script is gone."""
        return self._while_running(copy, now_ms, BEATING_USER)

    def for_session(self, copy: Running, now_ms: int) -> Coroutine[Any, Any, RunningFacts | None]:
        """As `for_heartbeat`, with what the script is shown of its user."""
        return self._while_running(copy, now_ms, CONNECTED_USER)

    async def user_with_key(self, key_hash: bytes) -> str | None:
        """Id of the user whose key has this hash."""
        row = await self._database.fetch_one(USER_WITH_KEY, key_hash=key_hash)
        return None if row is None else str(row[0])

    async def _while_running(self, copy: Running, now_ms: int, query: Query) -> RunningFacts | None:
        owner = self.known_owner(copy.script) or await self.owner(copy.script)
        if owner is None:
            return None
        ask = self._database.ask
        script = ask(RUNNING_SCRIPT, (owner.account, copy.script))
        if not (script is None or isinstance(script, tuple)):
            script = await script
        if script is None:
            return None
        user = ask(query, (copy.fingerprint, copy.user_id, owner.project, now_ms, copy.instance))
        if not (user is None or isinstance(user, tuple)):
            user = await user
        assert user is not None  # a row of nothing, when there is no such user
        facts = RunningFacts(*(script + user))
        if facts.plan is not None and facts.kick_outdated and plan_of(facts.plan).has_pins:
            facts = await self._with_pin(facts, copy.script, now_ms)
        if facts.blacklisted or facts.barred_by is not None:
            return await self._with_reason(facts, (copy.user_id, owner.project, copy.fingerprint, now_ms))
        return facts

    async def _with_pin(self, facts: AnyFacts, script: str, now_ms: int) -> AnyFacts:
        """The facts with the channel that the key is on, and the build that it is pinned to."""
        if facts.user_id is None:
            return facts
        row = self._database.ask(PIN, (now_ms, script, facts.user_id))
        if not (row is None or isinstance(row, tuple)):
            row = await row
        if row is None or facts.plan is None:
            return facts
        channel, build, role_channels = row
        if channel is None:
            channel = channel_by_role(plan_of(facts.plan), role_channels)
        return msgspec.structs.replace(facts, channel=channel, pin=build)

    async def _with_reason(self, facts: AnyFacts, who: tuple[Any, ...]) -> AnyFacts:
        """The facts with why and until when somebody is kept out, as it is now."""
        row = self._database.ask(BLACKLISTING, who)
        if not (row is None or isinstance(row, tuple)):
            row = await row
        assert row is not None  # a row of nothing, when there is no such user any more
        blacklisted, reason, expires, barred_by, bar_reason, bar_expires, held_by, held_until, locked_to = row
        return msgspec.structs.replace(
            facts,
            blacklisted=blacklisted,
            blacklist_reason=reason,
            blacklist_expires=expires,
            barred_by=barred_by,
            bar_reason=bar_reason,
            bar_expires=bar_expires,
            held_by=held_by,
            held_until=held_until,
            locked_to=None if locked_to is None else bytes(locked_to),
        )


def _pin_in(pins: str | None, script: str, now_ms: int) -> tuple[str | None, int | None]:
    """The channel that a key is on for a script, and the build that it is pinned to now, of the text that its row has."""
    if pins is None:
        return None, None
    of_script = pins.partition(script)[2]
    if not of_script:
        return None, None
    channel, build, expires = of_script.partition("\n")[0][1:].split("/")
    is_pinned = build and (not expires or int(expires) > now_ms)
    return channel or None, int(build) if is_pinned else None


async def loader_of(db: Database, script: str) -> str | None:
    """Id of the loader a script serves now; None when there is no such script, or no build of it yet."""
    row = await db.fetch_one(LOADER, script=script)
    return None if row is None or row[0] is None else str(row[0])


async def loader_source(db: Database | Transaction, script: str, loader: str) -> bytes | None:
    """The protected source of one of a script's loaders; it never changes."""
    row = await db.fetch_one(LOADER_SOURCE, script=script, loader=loader)
    return None if row is None else bytes(row[0])


async def payload(db: Database | Transaction, script: str, number: int) -> bytes | None:
    """A build's protected source; it never changes, but goes with its script."""
    row = await db.fetch_one(PAYLOAD, script=script, number=number)
    return None if row is None else bytes(row[0])


async def run_lock(db: Database | Transaction, script: str, number: int) -> bytes | None:
    """The lock of a build's run keys; None when it needs none, or is gone."""
    row = await db.fetch_one(RUN_LOCK, script=script, number=number)
    return None if row is None or row[0] is None else bytes(row[0])
