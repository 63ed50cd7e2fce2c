"""What can be done to a script's loader: give it a new secret."""

from __future__ import annotations

from dataclasses import dataclass

from moonlatch.builds.outcomes import Gone, NewLoader, OverQuota, Unpublished
from moonlatch.clock import DAY_MS
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Intent, perform
from moonlatch.operations.context import Actor, World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.publishing import refusal_of
from moonlatch.operations.refusals import NotFound, Reason, Refused
from moonlatch.operations.scripts import resource, version
from moonlatch.storage import accounts, loaders, quota
from moonlatch.storage.scripts import Script

GRACE_MS = DAY_MS
"""For so long earlier loaders start their script, where nobody says otherwise."""

MAX_GRACE_MS = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class Rotated:
    """A new loader is served; earlier ones start the script until then (Unix milliseconds)."""

    previous_valid_until: int


async def rotate(
    world: World, actor: Actor, script: Script, *, grace_ms: int, intent: Intent[Rotated] | None = None
) -> Rotated:
    """Serve a loader with a new secret; earlier ones start the script for `grace_ms` more.

    It takes seconds, and costs one obfuscation. Copies that run go on. Raises NotAllowed, NotFound, Refused, ChangedMeanwhile, TryLater.
    """
    actor.require(Permission.SCRIPTS_PUBLISH)
    account = await accounts.find(world.database, actor.account_id)
    if account is None or world.publisher is None:
        raise NotFound("script")
    if account.is_expired(world.clock()):
        raise Refused(Reason.ACCOUNT_EXPIRED)
    if script.loader is None:
        raise Refused(Reason.UPDATE_REQUIRED)

    async def store(loader: NewLoader) -> Rotated | Unpublished:
        try:
            return await perform(world, actor, lambda change: _serve(change, script.id, loader, grace_ms), intent)
        except _NotServedError as error:
            return error.outcome

    outcome = await world.publisher.rotate_loader(account, world.tier_of(account), script, store)
    if isinstance(outcome, Rotated):
        return outcome
    raise refusal_of(outcome)


class _NotServedError(Exception):
    """Ends the transaction of a rotation that came too late."""

    def __init__(self, outcome: Unpublished) -> None:
        super().__init__()
        self.outcome = outcome


async def _serve(change: Change, script_id: str, loader: NewLoader, grace_ms: int) -> Rotated:
    change.actor.require(Permission.SCRIPTS_PUBLISH)  # protecting took its time
    try:
        current = await change.script(script_id)
    except NotFound:
        raise _NotServedError(Gone()) from None
    change.expect(version(current))
    account = await change.account()
    # Claimed here and not before, as for an update: what was left may be taken by now.
    limit = change.world.tier_of(account).obfuscations_per_period
    if not await quota.claim(change.tx, account.id, 1, limit=limit, now=change.now):
        raise _NotServedError(OverQuota(0))
    until = change.now + grace_ms
    info, source = loader
    await loaders.replace(change.tx, info, script_id, source=source, now=change.now, previous_valid_until=until)
    change.record(
        EventKind.SCRIPT_LOADER_ROTATED,
        resource(current),
        project_id=current.project_id,
        changes={"grace": (None, grace_ms)},
    )
    return Rotated(previous_valid_until=until)
