"""What can be done to API tokens."""

from __future__ import annotations

from moonlatch import crypto
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Resource
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused
from moonlatch.storage import tokens
from moonlatch.storage.tokens import Token

MAX_TOKENS_PER_ACCOUNT = 100


async def create(change: Change, *, name: str, expires_at: int | None, ip_allow: tuple[str, ...]) -> tuple[Token, str]:
    """Make a token, and give it with its secret, which is kept nowhere. Times in Unix milliseconds.

    Raises NotAllowed, Invalid for a time in the past, Refused.
    """
    change.actor.require(Permission.TOKENS_WRITE)
    if expires_at is not None and expires_at <= change.now:
        raise Invalid("expires_at", "must be in the future")
    account_id = change.actor.account_id
    if await tokens.count_usable(change.tx, account_id, now=change.now) >= MAX_TOKENS_PER_ACCOUNT:
        raise Refused(Reason.MAX_TOKENS)
    secret = crypto.new_api_token()
    token = Token(
        id=crypto.new_id(),
        account_id=account_id,
        name=name,
        hash=crypto.token_hash(secret),
        ip_allow=ip_allow,
        created_at=change.now,
        expires_at=expires_at,
    )
    await tokens.insert(change.tx, token)
    change.record(EventKind.TOKEN_CREATED, _resource(token))
    return token, secret


async def revoke(change: Change, token_id: str) -> None:
    """Have it refused from the next call on; again, it changes nothing and leaves no event. Raises NotAllowed, NotFound."""
    change.actor.require(Permission.TOKENS_WRITE)
    token = await tokens.find_owned(change.tx, token_id, change.actor.account_id)
    if token is None:
        raise NotFound("token")
    if token.revoked_at is None:
        await tokens.revoke(change.tx, token.id, token.account_id, now=change.now)
        change.record(EventKind.TOKEN_REVOKED, _resource(token))


def _resource(token: Token) -> Resource:
    return Resource("token", token.id, token.name)
