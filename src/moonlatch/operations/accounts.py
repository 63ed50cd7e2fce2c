"""What can be done to an account itself."""

from __future__ import annotations

from moonlatch.crypto import LURAPH_KEY
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Resource
from moonlatch.operations.kinds import EventKind
from moonlatch.storage import luraph_keys


async def set_luraph_key(change: Change, key: str | None) -> None:
    """Keep the account's API key with Luraph, sealed, in place of the one before; None forgets it. Raises NotAllowed, Refused."""
    change.actor.require(Permission.ACCOUNT_WRITE)
    account = await change.account()
    resource = Resource("account", account.id, account.name)
    if key is None:
        await luraph_keys.clear(change.tx, account.id)
        change.record(EventKind.LURAPH_KEY_CLEARED, resource)
        return
    await change.require_active()
    await luraph_keys.put(change.tx, account.id, change.world.keyring.seal_secret(LURAPH_KEY, account.id, key))
    change.record(EventKind.LURAPH_KEY_SET, resource)
