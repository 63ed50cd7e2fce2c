"""What the rules about shared keys do to a key. Nobody asks for it: its own use does."""

from __future__ import annotations

from collections.abc import Sequence

from moonlatch.clock import HOUR_MS
from moonlatch.licensing.key import is_blacklisted, is_held
from moonlatch.licensing.sharing import Breach, Consequence, SharingRules
from moonlatch.operations.changing import Change
from moonlatch.operations.context import Actor, ActorKind
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.user_actions import Action, Blacklist, Hold, leave_event, resource
from moonlatch.storage import key_signals
from moonlatch.storage.key_signals import JudgedKey

REASON = "This key was used as if several people shared it."
"""Of a blacklisting by a rule; the customer is shown it."""

_JOB = "sharing"


def actor_for(account_id: str) -> Actor:
    """Who acts on a key whose use breaks a rule."""
    return Actor(account_id=account_id, kind=ActorKind.JOB, id=_JOB, name=_JOB)


async def act_on_breaches(change: Change, key: JudgedKey, found: Sequence[Breach]) -> None:
    """Do what the rules say about a key that broke these, the gravest first; what was said of it today is not said again.

    Nothing where the key was released, held or blacklisted meanwhile. Raises NotFound.
    """
    user = await change.user(key.user_id)
    if user.forgiven_until != key.forgiven_until or is_held(user.held_by, user.held_until, change.now):
        return
    if is_blacklisted(user.blacklisted, user.blacklist_expires, change.now):
        return
    new = await key_signals.add(change.tx, user.id, found, now=change.now)
    for breach in new:
        change.record(
            EventKind.USER_SHARING_SUSPECTED,
            resource(change.keyring, user),
            project_id=user.project_id,
            changes={breach.rule: (breach.limit, breach.seen)},
        )
    action = _gravest(new, key.rules, change.now)
    if action is None:
        return
    changed = action.judge(user, await change.project(user.project_id), change.now)
    await action.write(change.tx, [changed], change.now)
    leave_event(change, action, user, changed)
    if isinstance(action, Blacklist):
        change.tell(lambda live: live.user_changed(user.id))
        change.tell(lambda live: live.project_changed(user.project_id))


def _gravest(new: Sequence[Breach], rules: SharingRules, now: int) -> Action | None:
    if not new:
        return None
    match new[0].action:
        case Consequence.BLACKLIST:
            return Blacklist(REASON, None)
        case Consequence.HOLD:
            return Hold(new[0].rule, None if rules.hold_hours is None else now + rules.hold_hours * HOUR_MS)
        case _:
            return None
