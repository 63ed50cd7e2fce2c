"""`moonlatch accounts ...`: create, list, change, rename and remove accounts, directly in the data folder."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import Annotated, Any

import msgspec
import typer

from moonlatch.cli.data_folder import (
    account_named,
    changed,
    checked_name,
    day_or_never,
    end_of_day,
    end_of_future_day,
    with_database,
)
from moonlatch.cli.output import CommandError, DataFolder, Json, own_command, remark, say, show_table, write_json
from moonlatch.cli.tokens import described
from moonlatch.clock import now_ms
from moonlatch.config import Settings, load_settings
from moonlatch.crypto import new_id
from moonlatch.operations import accounts as operations
from moonlatch.operations.refusals import Refused
from moonlatch.storage import accounts
from moonlatch.storage.accounts import Account, Usage
from moonlatch.storage.interface import Database
from moonlatch.storage.tokens import Token

app = typer.Typer(help="Accounts of script developers. Works while the server runs.", no_args_is_help=True)

AccountName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]
Expires = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help='Last day of the account (UTC), or "never".')]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new account.")],
    tier: Annotated[
        str | None, typer.Option(metavar="TIER", help="Its tier; without it the setting default_tier.")
    ] = None,
    expires: Expires = None,
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Create an account and its first API token.

    The token is shown only now.
    """
    checked_name(name)
    expires_at = end_of_future_day(expires)
    # Before the folder is made: what is refused leaves none.
    chosen = tier and _known_tier(tier, load_settings({"data_dir": data}))

    def work(database: Database, settings: Settings) -> Awaitable[tuple[Account, Token, str]]:
        selected = chosen or settings.default_tier
        return changed(
            database,
            settings,
            new_id(),
            lambda change: operations.create(change, name=name, tier=selected, expires_at=expires_at),
        )

    try:
        account, token, secret = with_database(data, work, create=True)
    except Refused:
        hint = f"`{own_command('tokens', 'create', name, data=data)}` gives it another token."
        raise CommandError(f"there is an account {name!r} already", hint) from None
    if as_json:
        write_json({"account": _public(account), "token": described(token), "secret": secret})
        return
    say(f"Account {account.name!r} was created: id {account.id}, tier {account.tier}.")
    say(f"Its API token, shown only now:\n\n    {secret}\n")


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
    name: AccountName,
    tier: Annotated[str | None, typer.Option(metavar="TIER", help="Its new tier.")] = None,
    expires: Expires = None,
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Change an account's tier or expiry.

    It holds from the next call on.
    """
    if tier is None and expires is None:
        raise CommandError("nothing to change", "Give --tier, --expires, or both.")
    changes: dict[str, Any] = {} if expires is None else {"expires_at": end_of_day(expires)}

    async def work(database: Database, settings: Settings) -> Account:
        if tier is not None:
            changes["tier"] = _known_tier(tier, settings)
        account = await account_named(database, name)
        return await changed(database, settings, account.id, lambda change: operations.edit(change, **changes))

    account = with_database(data, work)
    if as_json:
        write_json(_public(account))
        return
    say(f"Account {account.name!r}: tier {account.tier}, expires {day_or_never(account.expires_at)}.")


@app.command("rename")
def rename(
    name: AccountName,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="Its new name.")],
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Give an account another name.

    Its tokens, projects and users stay as they are.
    """
    checked_name(new_name)

    async def work(database: Database, settings: Settings) -> Account:
        account = await account_named(database, name)
        return await changed(database, settings, account.id, lambda change: operations.rename(change, new_name))

    try:
        account = with_database(data, work)
    except Refused:
        raise CommandError(f"there is an account {new_name!r} already") from None
    if as_json:
        write_json(_public(account))
        return
    say(f"Account {name!r} is called {new_name!r} now.")


@app.command("remove")
def remove(
    name: AccountName,
    *,
    with_projects: Annotated[
        bool, typer.Option("--with-projects", help="Remove its projects too, with their scripts, users and counters.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: DataFolder = None,
) -> None:
    """Remove an account and its tokens, for good.

    Refused while it has projects, which would belong to nobody, unless they are to be removed with it. Asks for the
    account's name first. Only a backup brings it back.
    """

    async def look(database: Database, _: Settings) -> tuple[Account, Usage]:
        account = await account_named(database, name)
        return account, await accounts.usage(database, account.id)

    account, usage = with_database(data, look)
    _refuse_orphans(account, usage, with_projects=with_projects)
    if not yes:
        _confirm(account, usage)

    # Looked at again where nothing can come between: a project may have been made while somebody thought about it.
    def work(database: Database, settings: Settings) -> Awaitable[None]:
        return changed(
            database, settings, account.id, lambda change: operations.remove(change, with_projects=with_projects)
        )

    try:
        with_database(data, work)
    except Refused:
        raise CommandError(f"account {account.name!r} has got a project meanwhile; nothing was removed") from None
    say(f"Account {account.name!r} was removed{_with(usage)}.")


def _refuse_orphans(account: Account, usage: Usage, *, with_projects: bool) -> None:
    if usage.projects and not with_projects:
        raise CommandError(
            f"account {account.name!r} has {_counted(usage)}, which would belong to nobody",
            "Remove its projects first, or add --with-projects: every key and script of theirs stops working.",
        )


def _confirm(account: Account, usage: Usage) -> None:
    """Raises CommandError unless the account's name is typed."""
    remark(f"This removes account {account.name!r}{_with(usage)}, for good. Type its name to go on:")
    if sys.stdin.readline().rstrip("\n") != account.name:
        raise CommandError("that is not the account's name; nothing was removed", "--yes removes without asking.")


def _with(usage: Usage) -> str:
    return f" with {_counted(usage)}" if usage.projects else ""


def _counted(usage: Usage) -> str:
    counts = {"project": usage.projects, "script": usage.scripts, "user": usage.users}
    project, script, user = (f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
    return f"{project}, {script} and {user}"


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
