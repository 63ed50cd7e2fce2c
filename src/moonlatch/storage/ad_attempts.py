"""Visitors on their way to a key: attempts, the passes of their steps, proofs that were used, keys that were earned. Holds keyed hashes only."""

# ruff: noqa: S608 -- what is put into the statements is this module's own lists of columns
from __future__ import annotations

import msgspec

from moonlatch.storage.columns import blobs_of, columns_of, listed, placed, values_of
from moonlatch.storage.interface import Database, Query, Row, Transaction
from moonlatch.storage.users import COLUMNS as USER_COLUMNS
from moonlatch.storage.users import User, from_row


class AdAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """A browser's way to one key, of which `steps` are done. `extends` is the id of the user whose key is to last longer.

    `browser`, `network` and `address` are keyed hashes; times in Unix milliseconds.
    """

    id: str
    system_id: str
    browser: bytes
    network: bytes
    address: bytes
    extends: str | None = None
    steps: int = 0
    passes: int = 0
    began_at: int
    ends_at: int
    closed_at: int | None = None


class AdPass(msgspec.Struct, frozen=True, kw_only=True):
    """One try of one step. `proven_at` is when the provider vouched for it, `returned_at` when the browser came back,
    `refused_at` when it turned out not to count.
    """

    callback_hash: bytes
    attempt_id: str
    step_id: str
    number: int
    left_at: int
    proven_at: int | None = None
    returned_at: int | None = None
    refused_at: int | None = None
    done_at: int | None = None


class AdGrant(msgspec.Struct, frozen=True, kw_only=True):
    """That a browser got a key, or more time for one."""

    id: str
    system_id: str
    user_id: str
    browser: bytes
    network: bytes
    address: bytes
    made_at: int


_ATTEMPT = columns_of(AdAttempt)
_PASS = columns_of(AdPass)
_GRANT = columns_of(AdGrant)
_A_BLOBS, _P_BLOBS = blobs_of(AdAttempt), blobs_of(AdPass)

BEGIN = Query("ad_attempts.begin", f"insert into ad_attempts ({listed(_ATTEMPT)}) values ({placed(_ATTEMPT)})")
FIND_OPEN = Query(
    "ad_attempts.find_open",
    f"select {listed(_ATTEMPT)} from ad_attempts where system_id = :system_id and browser = :browser and closed_at is null",
)
FIND = Query("ad_attempts.find", f"select {listed(_ATTEMPT)} from ad_attempts where id = :id")
CLOSE = Query("ad_attempts.close", "update ad_attempts set closed_at = :now where id = :id and closed_at is null")
COUNT_PASS = Query(
    "ad_attempts.count_pass",
    "update ad_attempts set passes = passes + 1 where id = :id and passes < :most and closed_at is null",
)
ADVANCE = Query(
    "ad_attempts.advance",
    "update ad_attempts set steps = steps + 1 where id = :id and steps = :steps and closed_at is null",
)
ADD_PASS = Query("ad_attempts.add_pass", f"insert into ad_passes ({listed(_PASS)}) values ({placed(_PASS)})")
FIND_PASS = Query(
    "ad_attempts.find_pass", f"select {listed(_PASS)} from ad_passes where callback_hash = :callback_hash"
)
LAST_PASS = Query(
    "ad_attempts.last_pass",
    f"select {listed(_PASS)} from ad_passes where attempt_id = :attempt_id and number = :number "
    "order by left_at desc limit 1",
)
LAST_PASS_OF_STEP = Query(
    "ad_attempts.last_pass_of_step",
    f"select {listed(_PASS)} from ad_passes where attempt_id = :attempt_id and step_id = :step_id "
    "order by left_at desc limit 1",
)
RETURN = Query(
    "ad_attempts.return",
    "update ad_passes set returned_at = :now where callback_hash = :callback_hash and returned_at is null and done_at is null",
)
REFUSE = Query(
    "ad_attempts.refuse",
    "update ad_passes set refused_at = :now where callback_hash = :callback_hash and done_at is null",
)
FORGET_RETURN = Query(
    "ad_attempts.forget_return",
    "update ad_passes set returned_at = null where callback_hash = :callback_hash and done_at is null",
)
PROVE = Query(
    "ad_attempts.prove",
    "update ad_passes set proven_at = :now where callback_hash = :callback_hash and proven_at is null",
)
FINISH = Query(
    "ad_attempts.finish",
    "update ad_passes set done_at = :now where callback_hash = :callback_hash and done_at is null",
)
USE_PROOF = Query(
    "ad_attempts.use_proof", "insert into ad_proofs (hash, used_at) values (:hash, :now) on conflict do nothing"
)
DURATIONS = Query(
    "ad_attempts.durations",
    "select returned_at - left_at from ad_passes where step_id = :step_id and done_at is not null "
    "order by done_at desc limit :most",
)
GRANT = Query("ad_attempts.grant", f"insert into ad_grants ({listed(_GRANT)}) values ({placed(_GRANT)})")
_LIVE = "(u.key_expires is null or u.key_expires > :now)"
KEYS_OF_BROWSER = Query(
    "ad_attempts.keys_of_browser",
    f"select {USER_COLUMNS} from users u where u.id in "
    f"(select g.user_id from ad_grants g where g.system_id = :system_id and g.browser = :browser) and {_LIVE} "
    "order by u.created_at desc, u.id limit :most",
)
# Two indexes in place of one `or`, which some plans answer by reading everything.
LIVE_KEYS = Query(
    "ad_attempts.live_keys",
    f"""
    select count(*) from users u where u.id in (
        select g.user_id from ad_grants g where g.system_id = :system_id and g.browser = :browser
        union select g.user_id from ad_grants g where g.system_id = :system_id and g.address = :address
    ) and {_LIVE}
    """,
)
GRANTED_TO_BROWSER = Query(
    "ad_attempts.granted_to_browser",
    "select count(*) from ad_grants where system_id = :system_id and browser = :browser and made_at > :since",
)
GRANTED_TO_NETWORK = Query(
    "ad_attempts.granted_to_network",
    "select count(*) from ad_grants where system_id = :system_id and network = :network and made_at > :since",
)
EARNED_AT = Query(
    "ad_attempts.earned_at",
    "select 1 from ad_grants where user_id = :user_id and system_id = :system_id limit 1",
)
MOVE_LOCK = Query(
    "ad_attempts.move_lock",
    "update users set locked_to = :locked_to where id = :user_id and locked_to is not null and executions = 0",
)
STATISTICS = Query(
    "ad_attempts.statistics",
    "select p.step_id, count(*), sum(case when p.done_at is not null then 1 else 0 end) "
    "from ad_passes p join ad_steps s on s.id = p.step_id where s.system_id = :system_id and p.left_at > :since group by p.step_id",
)
COUNT_GRANTS = Query(
    "ad_attempts.count_grants", "select count(*) from ad_grants where system_id = :system_id and made_at > :since"
)
PRUNE = Query(
    "ad_attempts.prune",
    "delete from ad_attempts where id in (select id from ad_attempts where began_at < :before order by began_at limit :most)",
)
PRUNE_PROOFS = Query(
    "ad_attempts.prune_proofs",
    "delete from ad_proofs where hash in (select hash from ad_proofs where used_at < :before order by used_at limit :most)",
)
# Grants of keys that are still there say whose they are.
PRUNE_GRANTS = Query(
    "ad_attempts.prune_grants",
    "delete from ad_grants where id in (select g.id from ad_grants g where g.made_at < :before "
    "and not exists (select 1 from users u where u.id = g.user_id) order by g.made_at limit :most)",
)


def _attempt_of(row: Row) -> AdAttempt:
    return AdAttempt(**values_of(AdAttempt, row, blobs=_A_BLOBS))


def _pass_of(row: Row) -> AdPass:
    return AdPass(**values_of(AdPass, row, blobs=_P_BLOBS))


async def begin(tx: Transaction, attempt: AdAttempt) -> None:
    """Write a new attempt. Raises UniqueViolation where the browser has an open one."""
    await tx.execute(BEGIN, **{name: getattr(attempt, name) for name in _ATTEMPT})


async def find_open(db: Database | Transaction, system_id: str, browser: bytes) -> AdAttempt | None:
    """The browser's attempt that is not closed; its time may be over."""
    row = await db.fetch_one(FIND_OPEN, system_id=system_id, browser=browser)
    return None if row is None else _attempt_of(row)


async def find(db: Database | Transaction, attempt_id: str) -> AdAttempt | None:
    row = await db.fetch_one(FIND, id=attempt_id)
    return None if row is None else _attempt_of(row)


async def close(tx: Transaction, attempt_id: str, *, now: int) -> bool:
    """Close an attempt; False where it was closed already."""
    return await tx.execute(CLOSE, id=attempt_id, now=now) == 1


async def add_pass(tx: Transaction, new: AdPass, *, most: int) -> bool:
    """Begin a try of a step; False for an attempt that has had so many, or is closed."""
    if await tx.execute(COUNT_PASS, id=new.attempt_id, most=most) != 1:
        return False
    await tx.execute(ADD_PASS, **{name: getattr(new, name) for name in _PASS})
    return True


async def find_pass(db: Database | Transaction, callback_hash: bytes) -> AdPass | None:
    row = await db.fetch_one(FIND_PASS, callback_hash=callback_hash)
    return None if row is None else _pass_of(row)


async def last_pass(db: Database | Transaction, attempt_id: str, number: int) -> AdPass | None:
    """The latest try of a step, by whatever way."""
    row = await db.fetch_one(LAST_PASS, attempt_id=attempt_id, number=number)
    return None if row is None else _pass_of(row)


async def last_pass_of_step(db: Database | Transaction, attempt_id: str, step_id: str) -> AdPass | None:
    """The latest try of a step by this way."""
    row = await db.fetch_one(LAST_PASS_OF_STEP, attempt_id=attempt_id, step_id=step_id)
    return None if row is None else _pass_of(row)


async def note_return(tx: Transaction, callback_hash: bytes, *, now: int) -> bool:
    """Use a callback; False where it was used already."""
    return await tx.execute(RETURN, callback_hash=callback_hash, now=now) == 1


async def refuse(tx: Transaction, callback_hash: bytes, *, now: int) -> None:
    """Have a try never count."""
    await tx.execute(REFUSE, callback_hash=callback_hash, now=now)


async def forget_return(tx: Transaction, callback_hash: bytes) -> None:
    """Let a callback be used again: the provider could not be asked."""
    await tx.execute(FORGET_RETURN, callback_hash=callback_hash)


async def note_proof(tx: Transaction, callback_hash: bytes, *, now: int) -> bool:
    """Write down that the provider vouches for a try; False where it did already."""
    return await tx.execute(PROVE, callback_hash=callback_hash, now=now) == 1


async def use_proof(tx: Transaction, proof: bytes, *, now: int) -> bool:
    """Use what a provider gave, by its hash; False where it was used already."""
    return await tx.execute(USE_PROOF, hash=proof, now=now) == 1


async def finish(tx: Transaction, done: AdPass, steps: int, *, now: int) -> bool:
    """Count a step as done for an attempt that has done `steps`; False where another was faster."""
    if await tx.execute(ADVANCE, id=done.attempt_id, steps=steps) != 1:
        return False
    return await tx.execute(FINISH, callback_hash=done.callback_hash, now=now) == 1


async def durations(db: Database | Transaction, step_id: str, *, most: int) -> list[int]:
    """How many milliseconds the latest tries took that succeeded, the newest first."""
    rows = await db.fetch_all(DURATIONS, step_id=step_id, most=most)
    return [int(row[0]) for row in rows if row[0] is not None]


async def grant(tx: Transaction, made: AdGrant) -> None:
    await tx.execute(GRANT, **{name: getattr(made, name) for name in _GRANT})


async def keys_of_browser(
    db: Database | Transaction, system_id: str, browser: bytes, *, now: int, most: int
) -> list[User]:
    """The keys that a browser earned at a system and that have not expired, the newest first."""
    rows = await db.fetch_all(KEYS_OF_BROWSER, system_id=system_id, browser=browser, now=now, most=most)
    return [from_row(row) for row in rows]


async def live_keys(tx: Transaction, system_id: str, *, browser: bytes, address: bytes, now: int) -> int:
    """How many keys a visitor has that have not expired, known by browser or by address."""
    row = await tx.fetch_one(LIVE_KEYS, system_id=system_id, browser=browser, address=address, now=now)
    return 0 if row is None else int(row[0])


async def granted_since(
    tx: Transaction, system_id: str, *, browser: bytes, network: bytes, since: int
) -> tuple[int, int]:
    """How often this browser, and everybody in this network, got a key or more time since (Unix milliseconds)."""
    by_browser = await tx.fetch_one(GRANTED_TO_BROWSER, system_id=system_id, browser=browser, since=since)
    by_network = await tx.fetch_one(GRANTED_TO_NETWORK, system_id=system_id, network=network, since=since)
    return (0 if by_browser is None else int(by_browser[0])), (0 if by_network is None else int(by_network[0]))


async def is_earned_at(tx: Transaction, system_id: str, user_id: str) -> bool:
    return await tx.fetch_one(EARNED_AT, system_id=system_id, user_id=user_id) is not None


async def move_lock(tx: Transaction, user_id: str, locked_to: bytes) -> bool:
    """Lock a key that was never started to another network; False where it has none any more."""
    return await tx.execute(MOVE_LOCK, user_id=user_id, locked_to=locked_to) == 1


async def statistics(db: Database | Transaction, system_id: str, *, since: int) -> dict[str, tuple[int, int]]:
    """By step: how many tries began since (Unix milliseconds), and how many of them succeeded."""
    rows = await db.fetch_all(STATISTICS, system_id=system_id, since=since)
    return {step_id: (int(begun), int(done)) for step_id, begun, done in rows}


async def count_grants(db: Database | Transaction, system_id: str, *, since: int) -> int:
    row = await db.fetch_one(COUNT_GRANTS, system_id=system_id, since=since)
    return 0 if row is None else int(row[0])


async def prune(tx: Transaction, *, before: int, most: int) -> int:
    """Remove up to `most` attempts that began before a time (Unix milliseconds), with their passes."""
    return await tx.execute(PRUNE, before=before, most=most)


async def prune_proofs(tx: Transaction, *, before: int, most: int) -> int:
    return await tx.execute(PRUNE_PROOFS, before=before, most=most)


async def prune_grants(tx: Transaction, *, before: int, most: int) -> int:
    """Remove up to `most` records of keys that are gone, of before a time (Unix milliseconds)."""
    return await tx.execute(PRUNE_GRANTS, before=before, most=most)
