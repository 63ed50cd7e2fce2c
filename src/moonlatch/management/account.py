"""Account endpoints: limits and usage, and the API tokens."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, ConfigDict, Field

from moonlatch import crypto
from moonlatch.crypto import LURAPH_KEY
from moonlatch.errors import not_found
from moonlatch.licensing.quota import ObfuscationQuota
from moonlatch.management.auth import CurrentCaller, OwnedToken, require_active
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.fields import Closed, Empty, Name
from moonlatch.management.refusals import ACCOUNT_EXPIRED, Refusal, refusing
from moonlatch.management.replies import Reply, Success
from moonlatch.management.times import FutureMs
from moonlatch.storage import accounts, luraph_keys, tokens
from moonlatch.storage.interface import Transaction
from moonlatch.storage.tokens import Token

router = APIRouter(tags=["account"])

MAX_TOKENS_PER_ACCOUNT = 100
MAX_LURAPH_KEY = 255
MAX_TOKENS = Refusal(0, "max tokens reached", 403)


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError("must be an IP address, or a network like 192.0.2.0/24") from None


Network = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_network)]


class NewToken(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "bot", "ip_allow": ["192.0.2.0/24"]}]})

    name: Name
    expires_at: Annotated[FutureMs | None, Field(description="Unix milliseconds; null: never")] = None
    ip_allow: Annotated[
        list[Network], Field(max_length=50, default_factory=list, description="addresses or networks; empty: any")
    ]


class LuraphKey(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"api_key": "YOUR_LURAPH_API_KEY"}]})

    api_key: Annotated[
        Annotated[str, Field(min_length=1, max_length=MAX_LURAPH_KEY, pattern="^[!-~]+$")] | None,
        Field(description="as the service shows it; null: none"),
    ]


class Obfuscations(Reply):
    used: int
    limit: int | None
    period_end: int = Field(description="Unix milliseconds; used starts again at 0 then")


class Used(Reply):
    used: int
    limit: int | None


class AccountView(Reply):
    """The account, and how much of each limit is used; a limit of null is none."""

    id: str
    name: str
    tier: str
    expires_at: int | None
    expired: bool
    free_for_all: bool
    script_bytes: int
    luraph_key_set: bool = Field(description="whether it has an API key with Luraph; the key itself is never shown")
    obfuscations: Obfuscations
    projects: Used
    scripts: Used
    users: Used


class AccountReply(Success):
    account: AccountView


class TokenView(Reply):
    """A token without its secret. Times in Unix milliseconds."""

    id: str
    name: str
    ip_allow: list[str]
    created_at: int
    expires_at: int | None
    revoked_at: int | None

    @classmethod
    def of(cls, token: Token) -> TokenView:
        return cls(
            id=token.id,
            name=token.name,
            ip_allow=list(token.ip_allow),
            created_at=token.created_at,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
        )


class TokensReply(Success):
    tokens: list[TokenView]


class NewTokenReply(Success):
    token: TokenView
    secret: Annotated[str, Field(description="the token itself; shown this once", examples=["ml_..."])]


@router.get("/account", summary="Get the account")
async def get_account(caller: CurrentCaller, backend: CurrentBackend) -> AccountReply:
    """Tier, limits and usage of the account the token belongs to."""
    account, tier, now = caller.account, caller.tier, backend.clock()
    usage = await accounts.usage(backend.database, account.id)
    quota = ObfuscationQuota(
        account.obfuscation_period_start, account.obfuscations_used, tier.obfuscations_per_period
    ).at(now)
    return AccountReply(
        account=AccountView(
            id=account.id,
            name=account.name,
            tier=account.tier,
            expires_at=account.expires_at,
            expired=account.is_expired(now),
            free_for_all=tier.free_for_all,
            script_bytes=tier.script_bytes,
            luraph_key_set=await luraph_keys.find(backend.database, account.id) is not None,
            obfuscations=Obfuscations(used=quota.used, limit=quota.limit, period_end=quota.period_end),
            projects=Used(used=usage.projects, limit=tier.projects),
            scripts=Used(used=usage.scripts, limit=tier.scripts),
            users=Used(used=usage.users, limit=tier.users),
        )
    )


@router.post("/account/luraph", summary="Set the Luraph API key", responses=refusing(ACCOUNT_EXPIRED))
async def set_luraph_key(
    caller: CurrentCaller, body: Annotated[LuraphKey, Depends(JsonBody(LuraphKey))], backend: CurrentBackend
) -> Success:
    """What the engine `luraph` calls the service with, in place of the one before; null forgets it. It is kept encrypted."""
    account_id, key = caller.account.id, body.api_key
    if key is not None:
        require_active(caller, backend)

    async def save(tx: Transaction) -> None:
        if key is None:
            await luraph_keys.clear(tx, account_id)
        else:
            await luraph_keys.put(tx, account_id, backend.keyring.seal_secret(LURAPH_KEY, account_id, key))

    await backend.database.run(save)
    return Success()


@router.get("/account/tokens", summary="List API tokens")
async def list_tokens(caller: CurrentCaller, backend: CurrentBackend) -> TokensReply:
    """Oldest first, with those that expired or were revoked; never their secrets."""
    found = await tokens.list_of_account(backend.database, caller.account.id)
    return TokensReply(tokens=[TokenView.of(token) for token in found])


@router.post("/account/tokens", summary="Create an API token", responses=refusing(MAX_TOKENS))
async def create_token(
    caller: CurrentCaller, new: Annotated[NewToken, Depends(JsonBody(NewToken))], backend: CurrentBackend
) -> NewTokenReply:
    """The reply is the only place that ever shows the token itself."""
    now = backend.clock()
    secret = crypto.new_api_token()
    token = Token(
        id=crypto.new_id(),
        account_id=caller.account.id,
        name=new.name,
        hash=crypto.token_hash(secret),
        ip_allow=tuple(new.ip_allow),
        created_at=now,
        expires_at=new.expires_at,
    )

    async def create(tx: Transaction) -> None:
        if await tokens.count_usable(tx, caller.account.id, now=now) >= MAX_TOKENS_PER_ACCOUNT:
            raise MAX_TOKENS.error()
        await tokens.insert(tx, token)

    await backend.database.run(create)
    return NewTokenReply(token=TokenView.of(token), secret=secret)


@router.post("/account/tokens/{token_id}/revoke", summary="Revoke an API token")
async def revoke_token(
    token: OwnedToken,
    _body: Annotated[Empty, Depends(JsonBody(Empty))],
    caller: CurrentCaller,
    backend: CurrentBackend,
) -> Success:
    """It is refused from the next call on. Revoking it again changes nothing."""

    async def revoke(tx: Transaction) -> None:
        if not await tokens.revoke(tx, token.id, caller.account.id, now=backend.clock()):
            raise not_found("token")

    await backend.database.run(revoke)
    return Success()
