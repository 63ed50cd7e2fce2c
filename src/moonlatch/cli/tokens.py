"""`moonlatch tokens ...`: create, list and revoke API tokens, directly in the data folder."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

import typer

from moonlatch.cli.data_folder import (
    account_named,
    changed,
    checked_name,
    day_or_never,
    end_of_future_day,
    with_database,
)
from moonlatch.cli.output import CommandError, DataFolder, Json, own_command, say, show_table, write_json
from moonlatch.clock import now_ms
from moonlatch.config import Settings
from moonlatch.licensing.roles import Permission
from moonlatch.operations import tokens as operations
from moonlatch.operations.refusals import NotFound
from moonlatch.storage import tokens
from moonlatch.storage.interface import Database
from moonlatch.storage.tokens import Token

app = typer.Typer(help="API tokens of an account. Works while the server runs.", no_args_is_help=True)

AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of the account.")]


@app.command("create")
def create(
    account: AccountName,
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="What it is for.")] = "command line",
    expires: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Last day of the token (UTC).")] = None,
    ip: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Address or network it may be used from; may be given several times."),
    ] = None,
    permission: Annotated[
        list[str] | None,
        typer.Option(metavar="PERMISSION", help="What it may do, as keys:read; may be given several times."),
    ] = None,
    project: Annotated[
        list[str] | None,
        typer.Option(metavar="PROJECT_ID", help="A project it may reach; may be given several times."),
    ] = None,
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Create an API token, which is shown only now.

    Without --permission it may do everything, without --project in every project.
    """
    checked_name(name)
    expires_at = end_of_future_day(expires)
    allowed = tuple(_network(address) for address in ip or [])

    async def work(database: Database, settings: Settings) -> tuple[Token, str]:
        owner = await account_named(database, account)
        chosen = None if permission is None else [_permission(each) for each in permission]
        return await changed(
            database,
            settings,
            owner.id,
            lambda change: operations.create(
                change, name=name, expires_at=expires_at, ip_allow=allowed, permissions=chosen, projects=project
            ),
        )

    token, secret = with_database(data, work)
    if as_json:
        write_json({"token": described(token), "secret": secret})
        return
    say(f"A new API token of {account!r}, shown only now (id {token.id}):\n\n    {secret}\n")


@app.command("list")
def list_tokens(account: AccountName, data: DataFolder = None, as_json: Json = False) -> None:
    """List an account's tokens, oldest first.

    With those that expired or were revoked; never their secrets.
    """

    async def work(database: Database, _: Settings) -> list[Token]:
        owner = await account_named(database, account)
        return await tokens.list_of_account(database, owner.id)

    found = with_database(data, work)
    if as_json:
        write_json([described(token) for token in found])
        return
    show_table(
        ["token", "state", "expires", "from", "id"],
        [
            [
                token.name,
                _state(token),
                day_or_never(token.expires_at),
                ", ".join(token.ip_allow) or "anywhere",
                token.id,
            ]
            for token in found
        ],
    )


@app.command("revoke")
def revoke(
    account: AccountName,
    token_id: Annotated[str, typer.Argument(metavar="TOKEN_ID", help="Its id, as `tokens list` shows it.")],
    data: DataFolder = None,
) -> None:
    """Revoke a token: it is refused from the next call on."""

    async def work(database: Database, settings: Settings) -> None:
        owner = await account_named(database, account)
        await changed(database, settings, owner.id, lambda change: operations.revoke(change, token_id))

    try:
        with_database(data, work)
    except NotFound:
        raise CommandError(
            f"{account!r} has no token {token_id!r}",
            f"`{own_command('tokens', 'list', account, data=data)}` shows them.",
        ) from None
    say("The token is revoked.")


def _permission(name: str) -> Permission:
    try:
        return Permission(name)
    except ValueError:
        raise CommandError(f"there is no permission {name!r}", f"There are: {', '.join(Permission)}.") from None


def _network(address: str) -> str:
    try:
        return str(ipaddress.ip_network(address))
    except ValueError:
        raise CommandError(f"{address!r} is not an IP address, nor a network like 192.0.2.0/24") from None


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now_ms() else "good"


def described(token: Token) -> dict[str, Any]:
    """A token without its secret, as the API shows it."""
    return {
        "id": token.id,
        "name": token.name,
        "prefix": token.prefix,
        "permissions": token.permissions,
        "projects": token.projects,
        "ip_allow": list(token.ip_allow),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
        "last_used_from": token.last_used_from,
        "member_id": token.member_id,
    }
