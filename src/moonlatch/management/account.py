"""Account endpoints: limits and usage, and the API tokens."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from fastapi import Depends
from pydantic import AfterValidator, ConfigDict, Field

from moonlatch.licensing.quota import ObfuscationQuota
from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import CurrentCaller
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall
from moonlatch.management.fields import Closed, Empty, Id, Name, OneOf
from moonlatch.management.owned import OwnedToken
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import FutureMs
from moonlatch.operations import accounts as account_operations
from moonlatch.operations import tokens as token_operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import accounts, luraph_keys, tokens
from moonlatch.storage.tokens import Token

router = resource_router("account")

MAX_LURAPH_KEY = 255
MAX_TOKENS = DocumentedError(0, Reason.MAX_TOKENS, 403)


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError("must be an IP address, or a network like 192.0.2.0/24") from None


Network = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_network)]


PermissionName = Annotated[str, OneOf(Permission)]


class NewToken(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "bot", "ip_allow": ["192.0.2.0/24"]}]})

    name: Name
    expires_at: Annotated[FutureMs | None, Field(description="Unix milliseconds; null: never")] = None
    ip_allow: Annotated[
        list[Network],
        Field(max_length=50, default_factory=list, description="addresses or networks; empty: as for yours"),
    ]
    permissions: Annotated[
        list[PermissionName] | None,
        Field(max_length=len(Permission), description="what it may do, at most what you may; null: all of that"),
    ] = None
    projects: Annotated[
        list[Id] | None, Field(min_length=1, max_length=100, description="ids; null: all that you reach")
    ] = None


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

    model_config = example(
        id="ACCOUNT_ID",
        name="owner",
        tier="pro",
        expires_at=1_770_624_500_000,
        expired=False,
        free_for_all=True,
        script_bytes=8_388_608,
        luraph_key_set=False,
        obfuscations={"used": 12, "limit": 500, "period_end": 1_770_624_500_000},
        build_seconds={"used": 40, "limit": 36_000},
        projects={"used": 1, "limit": None},
        scripts={"used": 3, "limit": 50},
        users={"used": 210, "limit": None},
    )

    id: str
    name: str
    tier: str
    expires_at: int | None
    expired: bool
    free_for_all: bool
    script_bytes: int
    luraph_key_set: bool = Field(description="whether it has an API key with Luraph; the key itself is never shown")
    obfuscations: Obfuscations
    build_seconds: Used = Field(description="for which workers were busy with its updates, in the same period")
    projects: Used
    scripts: Used
    users: Used


class AccountReply(Success):
    account: AccountView


class TokenView(Reply):
    """A token without its secret. Times in Unix milliseconds."""

    model_config = example(
        id="TOKEN_ID",
        name="bot",
        prefix="ml_2fKqX7",
        permissions=["keys:read", "keys:write"],
        projects=["PROJECT_ID"],
        ip_allow=["192.0.2.0/24"],
        created_at=1_768_000_000_000,
        expires_at=None,
        revoked_at=None,
        last_used_at=1_770_624_480_000,
        last_used_from="192.0.2.7",
        member_id=None,
    )

    id: str
    name: str
    prefix: str = Field(description="how it begins; empty for tokens made before this was kept")
    permissions: list[str] | None = Field(description="null: all there are")
    projects: list[str] | None = Field(description="ids; null: all of the account's")
    ip_allow: list[str]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None = Field(description="to the minute")
    last_used_from: str | None = Field(description="the address")
    member_id: str | None = Field(description="whose it is: it may do no more than they may now; null: the account's")

    @classmethod
    def of(cls, token: Token) -> TokenView:
        return cls(
            id=token.id,
            name=token.name,
            prefix=token.prefix,
            permissions=None if token.permissions is None else list(token.permissions),
            projects=None if token.projects is None else list(token.projects),
            ip_allow=list(token.ip_allow),
            created_at=token.created_at,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
            last_used_at=token.last_used_at,
            last_used_from=token.last_used_from,
            member_id=token.member_id,
        )


class TokensReply(Success):
    tokens: list[TokenView]


class NewTokenReply(Success):
    token: TokenView
    secret: Annotated[str, Field(description="the token itself; shown this once", examples=["ml_..."])]


@router.get("/account", summary="Get the account", openapi_extra=needs(Permission.ACCOUNT_READ))
async def get_account(caller: CurrentCaller, backend: CurrentBackend) -> AccountReply:
    """Tier, limits and usage of the account the token belongs to."""
    account, tier, now = caller.account, caller.tier, backend.clock()
    usage = await accounts.usage(backend.database, account.id)
    quota = ObfuscationQuota(
        account.obfuscation_period_start,
        account.obfuscations_used,
        tier.obfuscations_per_period,
        account.build_ms_used,
        tier.build_seconds_per_period,
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
            build_seconds=Used(used=quota.build_seconds_used, limit=quota.build_seconds_limit),
            projects=Used(used=usage.projects, limit=tier.projects),
            scripts=Used(used=usage.scripts, limit=tier.scripts),
            users=Used(used=usage.users, limit=tier.users),
        )
    )


@router.post(
    "/account/luraph",
    summary="Set the Luraph API key",
    responses=refusing(ACCOUNT_EXPIRED),
    openapi_extra=needs(Permission.ACCOUNT_WRITE),
)
async def set_luraph_key(body: Annotated[LuraphKey, Depends(JsonBody(LuraphKey))], call: CurrentCall) -> Success:
    """What the engine `luraph` calls the service with, in place of the one before; null forgets it. It is kept encrypted."""
    return await call.change(
        lambda change: account_operations.set_luraph_key(change, body.api_key), lambda _: Success()
    )


@router.get("/account/tokens", summary="List API tokens", openapi_extra=needs(Permission.TOKENS_READ))
async def list_tokens(caller: CurrentCaller, backend: CurrentBackend) -> TokensReply:
    """Oldest first, with those that expired or were revoked; never their secrets. Whoever reaches some projects sees those of no others."""
    found = await tokens.list_of_account(backend.database, caller.account.id)
    return TokensReply(tokens=[TokenView.of(token) for token in found if token_operations.reaches(caller.actor, token)])


@router.post(
    "/account/tokens",
    summary="Create an API token",
    responses=refusing(MAX_TOKENS),
    openapi_extra=needs(Permission.TOKENS_WRITE),
)
async def create_token(new: Annotated[NewToken, Depends(JsonBody(NewToken))], call: CurrentCall) -> NewTokenReply:
    """The reply is the only place that ever shows the token itself."""
    return await call.change(
        lambda change: token_operations.create(
            change,
            name=new.name,
            expires_at=new.expires_at,
            ip_allow=tuple(new.ip_allow),
            permissions=None if new.permissions is None else [Permission(name) for name in new.permissions],
            projects=new.projects,
        ),
        lambda made: NewTokenReply(token=TokenView.of(made[0]), secret=made[1]),
    )


@router.post(
    "/account/tokens/{token_id}/revoke", summary="Revoke an API token", openapi_extra=needs(Permission.TOKENS_WRITE)
)
async def revoke_token(
    token: OwnedToken, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """It is refused from the next call on; tokens that it made go on. Revoking it again changes nothing."""
    return await call.change(lambda change: token_operations.revoke(change, token.id), lambda _: Success())
