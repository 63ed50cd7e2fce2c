"""`moonlatch accounts ...`: create, list and change accounts, directly in the data folder."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from moonlatch.cli.data_folder import (
    account_named,
    checked_name,
    day_or_never,
    end_of_day,
    with_database,
)
from moonlatch.cli.output import CommandError, DataFolder, Json, say, show_table, write_json
from moonlatch.cli.tokens import new_token
from moonlatch.clock import now_ms
from moonlatch.config import Settings
from moonlatch.crypto import new_id
from moonlatch.storage import accounts, tokens
from moonlatch.storage.accounts import Account, Usage
from moonlatch.storage.interface import Database, Transaction, UniqueViolation

app = typer.Typer(help="Accounts of script developers. Works while the server runs.", no_args_is_help=True)

Expires = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help='Last day of the account (UTC), or "never".')]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the new account.")],
    tier: Annotated[str | None, typer.Option(help="Its tier; without it the setting default_tier.")] = None,
    expires: Expires = None,
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Create an account and its first API token, which is shown only now."""
    checked_name(name)
    expires_at = end_of_day(expires)

    async def work(database: Database, settings: Settings) -> tuple[Account, str]:
        return await create_account(
            database, name, tier=_known_tier(tier or settings.default_tier, settings), expires_at=expires_at
        )

    account, secret = with_database(data, work, create=True)
    if as_json:
        write_json({**_public(account), "token": secret})
        return
    say(f"Account {account.name!r} was created: id {account.id}, tier {account.tier}.")
    say(f"Its API token, shown only now:\n\n    {secret}\n")


async def create_account(
    database: Database, name: str, *, tier: str, expires_at: int | None = None
) -> tuple[Account, str]:
    """Write a new account with one token; gives both. Raises CommandError when the name is taken."""
    now = now_ms()
    account = Account(
        id=new_id(), name=name, tier=tier, expires_at=expires_at, created_at=now, obfuscation_period_start=now
    )
    token, secret = new_token(account.id, "first token", now)

    async def unit(tx: Transaction) -> None:
        await accounts.insert(tx, account)
        await tokens.insert(tx, token)

    try:
        await database.run(unit)
    except UniqueViolation:
        raise CommandError(
            f"there is an account {name!r} already", "`moonlatch tokens create` gives it a token."
        ) from None
    return account, secret


@app.command("list")
def list_accounts(data: DataFolder = None, as_json: Json = False) -> None:
    """List the accounts, oldest first."""

    async def work(database: Database, _: Settings) -> list[tuple[Account, Usage]]:
        return [(one, await accounts.usage(database, one.id)) for one in await accounts.list_all(database)]

    found = with_database(data, work)
    if as_json:
        write_json([{**_public(account), **msgspec.structs.asdict(usage)} for account, usage in found])
        return
    show_table(
        ["account", "tier", "expires", "projects", "scripts", "users", "id"],
        [
            [
                account.name,
                account.tier,
                day_or_never(account.expires_at) + (" (expired)" if account.is_expired(now_ms()) else ""),
                *(str(count) for count in (usage.projects, usage.scripts, usage.users)),
                account.id,
            ]
            for account, usage in found
        ],
    )


@app.command("set")
def change(
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    tier: Annotated[str | None, typer.Option(help="Its new tier.")] = None,
    expires: Expires = None,
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Change an account's tier or expiry; holds from the next call on."""
    if tier is None and expires is None:
        raise CommandError("nothing to change", "Give --tier, --expires, or both.")
    changes: dict[str, Any] = {} if expires is None else {"expires_at": end_of_day(expires)}

    async def work(database: Database, settings: Settings) -> Account:
        if tier is not None:
            changes["tier"] = _known_tier(tier, settings)
        account = msgspec.structs.replace(await account_named(database, name), **changes)
        await database.run(lambda tx: accounts.save(tx, account))
        return account

    account = with_database(data, work)
    if as_json:
        write_json(_public(account))
        return
    say(f"Account {account.name!r}: tier {account.tier}, expires {day_or_never(account.expires_at)}.")


def _known_tier(name: str, settings: Settings) -> str:
    if name not in settings.tiers:
        raise CommandError(f"there is no tier {name!r}", f"There are: {', '.join(settings.tiers)}.")
    return name


def _public(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "tier": account.tier,
        "expires_at": account.expires_at,
        "created_at": account.created_at,
    }
