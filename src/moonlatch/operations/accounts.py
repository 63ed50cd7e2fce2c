"""What can be done to accounts: by their members to their own, and by the operator to all of them."""

from __future__ import annotations

import msgspec

from moonlatch.crypto import LURAPH_KEY
from moonlatch.licensing.roles import Permission
from moonlatch.operations import tokens
from moonlatch.operations.changing import Change, Resource, differences
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotFound, Reason, Refused
from moonlatch.storage import accounts, discord_roles, events, luraph_keys
from moonlatch.storage.accounts import Account
from moonlatch.storage.interface import UniqueViolation
from moonlatch.storage.tokens import Token

FIRST_TOKEN = "first token"  # noqa: S105 -- a name


async def set_luraph_key(change: Change, key: str | None) -> None:
    """Keep the account's API key with Luraph, sealed, in place of the one before; None forgets it. Raises NotAllowed, Refused."""
    change.actor.require(Permission.ACCOUNT_WRITE)
    change.actor.require_all_projects()  # whoever has the key reads there what all of them send
    account = await change.account()
    if key is None:
        await luraph_keys.clear(change.tx, account.id)
        change.record(EventKind.LURAPH_KEY_CLEARED, _resource(account))
        return
    await change.require_active()
    await luraph_keys.put(change.tx, account.id, change.keyring.seal_secret(LURAPH_KEY, account.id, key))
    change.record(EventKind.LURAPH_KEY_SET, _resource(account))


async def create(change: Change, *, name: str, tier: str, expires_at: int | None = None) -> tuple[Account, Token, str]:
    """Make the actor's account with a first token, and give both with the token's secret. Times in Unix milliseconds.

    Raises NotAllowed for anybody but the operator, Refused where the name is taken.
    """
    change.actor.require_operator()
    account = Account(
        id=change.actor.account_id,
        name=name,
        tier=tier,
        expires_at=expires_at,
        created_at=change.now,
        obfuscation_period_start=change.now,
    )
    try:
        await accounts.insert(change.tx, account)
    except UniqueViolation:
        raise Refused(Reason.ACCOUNT_NAME_TAKEN) from None
    change.record(EventKind.ACCOUNT_CREATED, _resource(account))
    token, secret = await tokens.create(change, name=FIRST_TOKEN)
    return account, token, secret


async def edit(
    change: Change, *, tier: str | None = None, expires_at: int | msgspec.UnsetType | None = msgspec.UNSET
) -> Account:
    """Give the actor's account another tier or expiry (Unix milliseconds; None: never). Raises NotAllowed, NotFound."""
    change.actor.require_operator()
    current = await change.account()
    changed = msgspec.structs.replace(
        current,
        tier=tier or current.tier,
        expires_at=current.expires_at if isinstance(expires_at, msgspec.UnsetType) else expires_at,
    )
    await accounts.save(change.tx, changed)
    change.record(EventKind.ACCOUNT_EDITED, _resource(changed), changes=differences(current, changed))
    return changed


async def rename(change: Change, name: str) -> Account:
    """Give the actor's account another name. Raises NotAllowed, NotFound, Refused where it is taken."""
    change.actor.require_operator()
    current = await change.account()
    changed = msgspec.structs.replace(current, name=name)
    try:
        await accounts.rename(change.tx, current.id, name)
    except UniqueViolation:
        raise Refused(Reason.ACCOUNT_NAME_TAKEN) from None
    change.record(EventKind.ACCOUNT_EDITED, _resource(changed), changes=differences(current, changed))
    return changed


async def remove(change: Change, *, with_projects: bool) -> None:
    """Remove the actor's account and its tokens, for good, and its projects where that is asked for.

    Its events lose what identifies anything; they stay until their retention is over.

    Raises NotAllowed, NotFound, Refused where it has projects, which would belong to nobody.
    """
    change.actor.require_operator()
    account = await change.account()
    usage = await accounts.usage(change.tx, account.id)
    if usage.projects and not with_projects:
        raise Refused(Reason.ACCOUNT_HAS_PROJECTS)
    if not await accounts.remove(change.tx, account.id):
        raise NotFound("account")
    await discord_roles.forget_account(change.tx, account.id)
    await events.erase_account(change.tx, account.id)
    change.record(EventKind.ACCOUNT_REMOVED, Resource("account", account.id))


def _resource(account: Account) -> Resource:
    return Resource("account", account.id, account.name)
