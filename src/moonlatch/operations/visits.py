"""What visitors of a checkpoint do: begin, leave for a step, come back, get a key. All that decides stands in the database, nothing in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from moonlatch import crypto
from moonlatch.clock import DAY_MS, HOUR_MS, MINUTE_MS
from moonlatch.keyring import Keyring
from moonlatch.licensing import checkpoints as rules
from moonlatch.licensing.key import is_blacklisted, is_held
from moonlatch.operations import users as user_operations
from moonlatch.operations.ad_systems import resource
from moonlatch.operations.changing import Change, Resource
from moonlatch.operations.context import Actor, ActorKind
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.locks import is_elsewhere, lock_of
from moonlatch.operations.refusals import Reason, Refused
from moonlatch.storage import ad_attempts, ad_systems, users
from moonlatch.storage.ad_attempts import AdAttempt, AdGrant, AdPass
from moonlatch.storage.ad_systems import AdStep, AdSystem
from moonlatch.storage.interface import Database, Transaction, UniqueViolation
from moonlatch.storage.user_keys import key_of
from moonlatch.storage.users import User
from moonlatch.web.address import parse_address, sites_of

AD_NOTE = "Ad Reward"
"""Note of every key that was earned: hubs look for it."""

_NAME = "checkpoints"
_SHOWN_KEYS = 10


class Away(StrEnum):
    """Why a visitor is turned away."""

    CLOSED = "closed"
    NO_WAY = "no way"
    NOT_BEGUN = "not begun"
    TOO_MANY_KEYS = "too many keys"
    DAILY_LIMIT = "daily limit"
    NETWORK_LIMIT = "network limit"
    TOO_MANY_TRIES = "too many tries"
    NOT_EXTENDABLE = "not extendable"
    LONG_ENOUGH = "long enough"
    UNKNOWN_CALLBACK = "unknown callback"
    WRONG_STEP = "wrong step"
    USED = "used"
    TOO_FAST = "too fast"
    PROOF_USED = "proof used"
    NOT_PROVEN = "not proven"
    WRONG_NETWORK = "wrong network"
    FULL = "full"


class TurnedAway(Exception):
    """A visitor may not do this; nothing was changed but what `Away` says."""

    def __init__(self, why: Away) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is at the page, as far as it is kept: keyed hashes."""

    browser: bytes
    network: bytes
    address: bytes


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows one visitor. `keys` are theirs; `next_steps` the ways through the next step, the preferred first."""

    system: AdSystem
    attempt: AdAttempt | None
    steps: int
    next_steps: Sequence[AdStep]
    waiting: AdPass | None
    keys: Sequence[tuple[str, User]] = field(repr=False)
    is_open: bool


def visitor_of(keyring: Keyring, system: AdSystem, browser: str, address: str) -> Visitor:
    """The hashes of a browser's cookie and address, bound to the project."""
    return Visitor(
        keyring.fingerprint(system.project_id, "browser", browser),
        lock_of(keyring, system.project_id, address),
        keyring.fingerprint(system.project_id, "address", sites_of(address)[0]),
    )


def actor_for(system: AdSystem) -> Actor:
    """Who acts when a visitor earns a key."""
    return Actor(account_id=system.account_id, kind=ActorKind.JOB, id=_NAME, name=_NAME)


async def shown(db: Database, keyring: Keyring, system: AdSystem, visitor: Visitor | None, *, now: int) -> Shown:
    """What to show a visitor; None is one whom no cookie makes known."""
    ways = _open_ways(await ad_systems.steps_of(db, system.id))
    attempt = None if visitor is None else await ad_attempts.find_open(db, system.id, visitor.browser)
    if attempt is not None and attempt.ends_at <= now:
        attempt = None
    number = 1 if attempt is None else attempt.steps + 1
    waiting = None
    if attempt is not None:
        last = await ad_attempts.last_pass(db, attempt.id, number)
        if last is not None and last.returned_at is not None and last.refused_at is None and last.done_at is None:
            waiting = last
    keys = (
        []
        if visitor is None
        else await ad_attempts.keys_of_browser(db, system.id, visitor.browser, now=now, most=_SHOWN_KEYS)
    )
    return Shown(
        system=system,
        attempt=attempt,
        steps=len(ways),
        next_steps=ways[number - 1] if number <= len(ways) else (),
        waiting=waiting,
        keys=[(key_of(keyring, user), user) for user in keys],
        is_open=system.enabled and bool(ways),
    )


async def step_of(db: Database, callback: str) -> AdStep | None:
    """The step that a callback is of, or whose id it is."""
    found = await ad_attempts.find_pass(db, _hash(callback))
    return await ad_systems.find_step(db, callback if found is None else found.step_id)


async def begin(change: Change, system: AdSystem, visitor: Visitor, *, extends: str = "") -> AdAttempt:
    """Begin an attempt, or give the one that is under way. `extends` is a key that is to last longer. Raises TurnedAway."""
    system = await _open(change, system)
    current = await ad_attempts.find_open(change.tx, system.id, visitor.browser)
    if current is not None:
        if current.ends_at > change.now and not extends and not is_elsewhere(current.network, visitor.network):
            return current
        await ad_attempts.close(change.tx, current.id, now=change.now)
    user = await _extendable(change, system, visitor, extends) if extends else None
    await _check_limits(change, system, visitor, is_new=user is None)
    attempt = AdAttempt(
        id=crypto.new_id(),
        system_id=system.id,
        browser=visitor.browser,
        network=visitor.network,
        address=visitor.address,
        extends=None if user is None else user.id,
        began_at=change.now,
        ends_at=change.now + rules.ATTEMPT_MS,
    )
    try:
        await ad_attempts.begin(change.tx, attempt)
    except UniqueViolation:
        raise TurnedAway(Away.USED) from None
    return attempt


async def leave(change: Change, system: AdSystem, visitor: Visitor) -> tuple[AdStep, str]:
    """Begin a try of the next step: gives the way to take, and a callback that is good once. Raises TurnedAway."""
    system = await _open(change, system)
    attempt = await _attempt(change, system, visitor)
    ways = _open_ways(await ad_systems.steps_of(change.tx, system.id))
    number = attempt.steps + 1
    if number > len(ways):
        raise TurnedAway(Away.CLOSED)
    step = next((way for way in ways[number - 1] if (way.down_until or 0) <= change.now), None)
    if step is None:
        raise TurnedAway(Away.NO_WAY)
    callback = crypto.new_id()
    begun = AdPass(
        callback_hash=_hash(callback), attempt_id=attempt.id, step_id=step.id, number=number, left_at=change.now
    )
    if not await ad_attempts.add_pass(change.tx, begun, most=rules.MOST_PASSES):
        raise TurnedAway(Away.TOO_MANY_TRIES)
    return step, callback


async def come_back(
    change: Change, system: AdSystem, visitor: Visitor, callback: str
) -> tuple[AdStep, AdPass, Away | None]:
    """Use a callback, or the id of a step whose provider knows only one place to send everybody back to.

    Gives what it was of, and why it does not count: then it is used up all the same. Raises TurnedAway.
    """
    attempt = await _attempt(change, system, visitor)
    found = await _pass_of(change, attempt, callback)
    if found is None or found.attempt_id != attempt.id:
        raise TurnedAway(Away.UNKNOWN_CALLBACK)
    step = await ad_systems.find_step(change.tx, found.step_id)
    if step is None or step.system_id != system.id:
        raise TurnedAway(Away.UNKNOWN_CALLBACK)
    if found.done_at is not None:
        raise TurnedAway(Away.USED)
    if found.number != attempt.steps + 1:
        raise TurnedAway(Away.WRONG_STEP)
    if not await ad_attempts.note_return(change.tx, found.callback_hash, now=change.now):
        raise TurnedAway(Away.USED)
    problem = None
    if rules.is_too_fast(found.left_at, change.now, step.minimum_seconds):
        problem = Away.TOO_FAST
    elif is_elsewhere(attempt.network, visitor.network):
        problem = Away.WRONG_NETWORK
    if problem is not None:
        await ad_attempts.refuse(change.tx, found.callback_hash, now=change.now)
    return step, msgspec.structs.replace(found, returned_at=change.now), problem


async def refuse(change: Change, callback_hash: bytes) -> None:
    """Have a try never count whose provider does not vouch for it."""
    await ad_attempts.refuse(change.tx, callback_hash, now=change.now)


async def give_back(change: Change, callback_hash: bytes) -> None:
    """Let a callback be used again, because its provider could not be asked."""
    await ad_attempts.forget_return(change.tx, callback_hash)


async def note_down(change: Change, system: AdSystem, step_id: str) -> None:
    """Leave a provider alone for a while that could not be asked; at most one event an hour."""
    step = await ad_systems.find_step(change.tx, step_id)
    if step is None:
        return
    is_news = (step.down_told_at or 0) + HOUR_MS <= change.now
    changed = msgspec.structs.replace(
        step, down_until=change.now + rules.DOWN_MS, down_told_at=change.now if is_news else step.down_told_at
    )
    await ad_systems.save_step(change.tx, changed)
    if is_news:
        _record_step(change, EventKind.AD_STEP_DOWN, system, step)


async def count(change: Change, system: AdSystem, callback_hash: bytes, proof: str | None) -> None:
    """Count a step as done whose browser is back, by what its provider gave as proof; None where it vouched beforehand.

    The last step gives the key. Raises TurnedAway.
    """
    done = await ad_attempts.find_pass(change.tx, callback_hash)
    if done is None or done.returned_at is None:
        raise TurnedAway(Away.UNKNOWN_CALLBACK)
    if done.refused_at is not None:
        raise TurnedAway(Away.USED)
    if proof is None and done.proven_at is None:
        raise TurnedAway(Away.NOT_PROVEN)
    await _count(change, system, done, proof)


async def vouch(change: Change, system: AdSystem, step: AdStep, *, callback: str, address: str, proof: str) -> None:
    """Take a provider's word, at its postback, that a visitor from this address went through. Raises TurnedAway."""
    found = await ad_attempts.find_pass(change.tx, _hash(callback))
    if found is None or found.step_id != step.id:
        raise TurnedAway(Away.UNKNOWN_CALLBACK)
    attempt = await ad_attempts.find(change.tx, found.attempt_id)
    if attempt is None or attempt.closed_at is not None or attempt.ends_at <= change.now:
        raise TurnedAway(Away.NOT_BEGUN)
    if found.done_at is not None or found.refused_at is not None:
        raise TurnedAway(Away.USED)
    if not _may_be_at(change.keyring, system, attempt.network, address):
        raise TurnedAway(Away.WRONG_NETWORK)
    if found.number != attempt.steps + 1:
        raise TurnedAway(Away.WRONG_STEP)
    if not await ad_attempts.use_proof(change.tx, _proof(step, proof), now=change.now):
        raise TurnedAway(Away.PROOF_USED)
    await ad_attempts.note_proof(change.tx, found.callback_hash, now=change.now)
    if found.returned_at is not None:
        await _count(change, system, msgspec.structs.replace(found, proven_at=change.now), None)


async def follow(tx: Transaction, visitor: Visitor, keys: Sequence[User]) -> None:
    """Lock a browser's keys that were never started to the network that it is in now."""
    for user in keys:
        if user.executions == 0 and user.locked_to is not None and user.locked_to != visitor.network:
            await ad_attempts.move_lock(tx, user.id, visitor.network)


def is_same_network(keyring: Keyring, system: AdSystem, visitor: Visitor, address: str) -> bool:
    """Return whether the address that a provider saw may be the visitor's."""
    return _may_be_at(keyring, system, visitor.network, address)


def _may_be_at(keyring: Keyring, system: AdSystem, network: bytes, address: str) -> bool:
    # One that cannot be read is no word for anybody.
    return parse_address(address) is not None and not is_elsewhere(
        network, lock_of(keyring, system.project_id, address)
    )


async def _count(change: Change, system: AdSystem, done: AdPass, proof: str | None) -> None:
    attempt = await ad_attempts.find(change.tx, done.attempt_id)
    step = await ad_systems.find_step(change.tx, done.step_id)
    system = await _open(change, system)
    if attempt is None or step is None or attempt.closed_at is not None or attempt.ends_at <= change.now:
        raise TurnedAway(Away.NOT_BEGUN)
    if attempt.steps + 1 != done.number or done.done_at is not None:
        raise TurnedAway(Away.USED)
    if proof is not None and not await ad_attempts.use_proof(change.tx, _proof(step, proof), now=change.now):
        raise TurnedAway(Away.PROOF_USED)
    if not await ad_attempts.finish(change.tx, done, attempt.steps, now=change.now):
        raise TurnedAway(Away.USED)
    await _watch_speed(change, system, step)
    if attempt.steps + 1 >= len(_open_ways(await ad_systems.steps_of(change.tx, system.id))):
        await _give_key(change, system, attempt)


async def _give_key(change: Change, system: AdSystem, attempt: AdAttempt) -> None:
    visitor = Visitor(attempt.browser, attempt.network, attempt.address)
    if attempt.extends is None:
        await _check_limits(change, system, visitor, is_new=True)
        settings = {
            "note": AD_NOTE,
            "key_expires": change.now + system.key_duration,
            "locked_to": attempt.network,
        }
        try:
            (user,) = await user_operations.create(change, system.project_id, [settings], keys=[None])
        except Refused as refused:
            raise TurnedAway(Away.FULL if refused.reason is Reason.MAX_USERS else Away.CLOSED) from None
    else:
        await _check_limits(change, system, visitor, is_new=False)
        found = await users.find_owned(change.tx, attempt.extends, system.account_id)
        user = _require_extendable(system, found, change.now)
        expires = rules.extended(
            user.key_expires or 0, now=change.now, duration=system.key_duration, most=system.max_duration
        )
        user = await user_operations.edit(change, user.id, {"key_expires": expires})
    await ad_attempts.close(change.tx, attempt.id, now=change.now)
    await ad_attempts.grant(
        change.tx,
        AdGrant(
            id=crypto.new_ordered_id(change.now),
            system_id=system.id,
            user_id=user.id,
            browser=attempt.browser,
            network=attempt.network,
            address=attempt.address,
            made_at=change.now,
        ),
    )


async def _watch_speed(change: Change, system: AdSystem, step: AdStep) -> None:
    """Leave an event when the latest tries took much less time than those before: then there is a way around the step."""
    if (step.hurried_at or 0) + rules.HURRIED_AGAIN_MS > change.now:
        return
    durations = await ad_attempts.durations(change.tx, step.id, most=rules.RECENT_PASSES + rules.EARLIER_PASSES)
    medians = rules.hurried(durations)
    if medians is not None:
        await ad_systems.save_step(change.tx, msgspec.structs.replace(step, hurried_at=change.now))
        _record_step(change, EventKind.AD_STEP_HURRIED, system, step, {"median_seconds": medians})


async def _open(change: Change, system: AdSystem) -> AdSystem:
    """The system as it is now. Raises TurnedAway where it gives no keys."""
    current = await ad_systems.find_owned(change.tx, system.id, system.account_id)
    if current is None or not current.enabled or (await change.account()).is_expired(change.now):
        raise TurnedAway(Away.CLOSED)
    if not _open_ways(await ad_systems.steps_of(change.tx, system.id)):
        raise TurnedAway(Away.CLOSED)
    return current


def _open_ways(steps: Sequence[AdStep]) -> list[list[AdStep]]:
    """The ways through each step; empty where one has none that is switched on, because nobody may skip it."""
    numbers = {step.number for step in steps}
    ways = [[step for step in steps if step.number == number and step.enabled] for number in sorted(numbers)]
    return ways if all(ways) else []


async def _attempt(change: Change, system: AdSystem, visitor: Visitor) -> AdAttempt:
    attempt = await ad_attempts.find_open(change.tx, system.id, visitor.browser)
    if attempt is None or attempt.ends_at <= change.now:
        raise TurnedAway(Away.NOT_BEGUN)
    return attempt


async def _pass_of(change: Change, attempt: AdAttempt, callback: str) -> AdPass | None:
    found = await ad_attempts.find_pass(change.tx, _hash(callback))
    if found is not None:
        return found
    step = await ad_systems.find_step(change.tx, callback)
    if step is None or not rules.PROVIDERS[rules.ProviderName(step.provider)].has_fixed_target:
        return None
    # One that is used up already is no reason to take an earlier one.
    return await ad_attempts.last_pass_of_step(change.tx, attempt.id, step.id)


async def _check_limits(change: Change, system: AdSystem, visitor: Visitor, *, is_new: bool) -> None:
    by_browser, by_network = await ad_attempts.granted_since(
        change.tx, system.id, browser=visitor.browser, network=visitor.network, since=change.now - DAY_MS
    )
    if by_browser >= system.device_daily_keys:
        raise TurnedAway(Away.DAILY_LIMIT)
    if by_network >= system.network_daily_keys:
        raise TurnedAway(Away.NETWORK_LIMIT)
    if is_new:
        live = await ad_attempts.live_keys(
            change.tx, system.id, browser=visitor.browser, address=visitor.address, now=change.now
        )
        if live >= system.max_keys:
            raise TurnedAway(Away.TOO_MANY_KEYS)
        try:
            await user_operations.require_room(change, 1)
        except Refused:
            raise TurnedAway(Away.FULL) from None


async def _extendable(change: Change, system: AdSystem, visitor: Visitor, key: str) -> User:
    found = await users.find_by_key(change.tx, change.keyring.user_key_hashes(key))
    if found is None or not await ad_attempts.is_earned_at(change.tx, system.id, found.id):
        raise TurnedAway(Away.NOT_EXTENDABLE)
    user = _require_extendable(system, found, change.now)
    # Its lock would follow whoever made it last longer.
    if user.executions == 0 and user.locked_to is not None and is_elsewhere(user.locked_to, visitor.network):
        raise TurnedAway(Away.NOT_EXTENDABLE)
    if (user.key_expires or 0) >= change.now + system.max_duration - MINUTE_MS:
        raise TurnedAway(Away.LONG_ENOUGH)
    return user


def _require_extendable(system: AdSystem, user: User | None, now: int) -> User:
    if (
        user is None
        or not system.allow_extending
        or user.project_id != system.project_id
        or user.key_expires is None
        or is_blacklisted(user.blacklisted, user.blacklist_expires, now)
        or is_held(user.held_by, user.held_until, now)
    ):
        raise TurnedAway(Away.NOT_EXTENDABLE)
    return user


def _hash(callback: str) -> bytes:
    return crypto.sha256(callback.encode())


def _proof(step: AdStep, proof: str) -> bytes:
    """One token is one proof, whatever step it is shown at."""
    return crypto.sha256(f"{step.provider}\n{proof}".encode())


def _record_step(
    change: Change,
    kind: EventKind,
    system: AdSystem,
    step: AdStep,
    changes: dict[str, tuple[float, float]] | None = None,
) -> None:
    label = f"{resource(system).label}, step {step.number} ({step.provider})"
    change.record(kind, Resource("ad_step", step.id, label), project_id=system.project_id, changes=changes)
