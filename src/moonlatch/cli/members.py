"""`moonlatch members ...`: invite, list, change and remove members, directly in the data folder: nobody is ever locked out of their server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from moonlatch.cli.data_folder import account_named, changed, checked_name, with_database
from moonlatch.cli.output import CommandError, DataFolder, Json, own_command, say, show_table, write_json
from moonlatch.clock import utc_day, utc_time
from moonlatch.config import Settings
from moonlatch.licensing.roles import Role
from moonlatch.operations import members as operations
from moonlatch.operations.changing import Change
from moonlatch.operations.members import NewLink
from moonlatch.operations.refusals import Invalid, NotFound, Refused
from moonlatch.storage import members
from moonlatch.storage.interface import Database
from moonlatch.storage.members import Member

T = TypeVar("T")

app = typer.Typer(help="People of an account. Works while the server runs.", no_args_is_help=True)

SignInName = Annotated[str, typer.Argument(metavar="SIGN_IN_NAME", help="What they sign in with.")]
RoleOption = Annotated[str | None, typer.Option(metavar="ROLE", help=f"One of: {', '.join(Role)}.")]
Projects = Annotated[
    list[str] | None, typer.Option(metavar="PROJECT_ID", help="A project they reach; may be given several times.")
]


@app.command("list")
def list_members(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of the account.")],
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """List an account's members, oldest first."""

    async def work(database: Database, _: Settings) -> list[Member]:
        owner = await account_named(database, account)
        return await members.list_of_account(database, owner.id)

    found = with_database(data, work)
    if as_json:
        write_json([_public(member) for member in found])
        return
    show_table(
        ["member", "name", "role", "state", "projects", "signed in", "id"],
        [
            [
                member.sign_in_name,
                member.name,
                member.role,
                member.state,
                "all" if member.projects is None else ", ".join(member.projects),
                "never" if member.signed_in_at is None else utc_day(member.signed_in_at),
                member.id,
            ]
            for member in found
        ],
    )


@app.command("invite")
def invite(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of the account.")],
    sign_in_name: SignInName,
    *,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What others call them; without it what they sign in with.")
    ] = None,
    role: RoleOption = None,
    project: Projects = None,
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Invite somebody, and print their link.

    It is good once. Without --role as viewer, without --project for every project.
    """
    checked_name(name or sign_in_name)

    async def work(database: Database, settings: Settings) -> NewLink:
        owner = await account_named(database, account)
        chosen = Role.VIEWER if role is None else _role(role)
        return await changed(
            database,
            settings,
            owner.id,
            lambda change: operations.invite(
                change, name=name or sign_in_name, sign_in_name=sign_in_name, role=chosen, projects=project
            ),
        )

    try:
        made = with_database(data, work)
    except (Refused, Invalid) as error:
        raise CommandError(str(error)) from None
    _show_link(made, as_json=as_json)


@app.command("link")
def link(sign_in_name: SignInName, data: DataFolder = None, as_json: Json = False) -> None:
    """Make a link to choose a new password.

    It is good once. The way back in when a password is lost, and for an invitation that has expired. Their sessions end when they use it.
    """
    made = _of_member(data, sign_in_name, lambda member: lambda change: operations.new_link(change, member.id))
    _show_link(made, as_json=as_json)


@app.command("set")
def change(
    sign_in_name: SignInName,
    *,
    role: RoleOption = None,
    project: Projects = None,
    all_projects: Annotated[bool, typer.Option("--all-projects", help="They reach every project.")] = False,
    disable: Annotated[bool, typer.Option("--disable", help="They and their tokens are refused.")] = False,
    enable: Annotated[bool, typer.Option("--enable", help="They are no longer refused.")] = False,
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Change a member's role or projects.

    Or disable and enable them. It holds from the next call on.
    """
    changes: dict[str, Any] = {} if role is None else {"role": _role(role)}
    if project is not None or all_projects:
        changes["projects"] = None if all_projects else project
    if disable or enable:
        changes["disabled"] = disable
    if not changes:
        raise CommandError("nothing to change", "Give --role, --project, --all-projects, --disable or --enable.")
    member = _of_member(data, sign_in_name, lambda member: lambda change: operations.edit(change, member.id, **changes))
    if as_json:
        write_json(_public(member))
        return
    say(f"Member {member.sign_in_name!r}: {member.role}, {member.state}.")


@app.command("reset-second-factor")
def reset_second_factor(sign_in_name: SignInName, data: DataFolder = None) -> None:
    """Take codes and passkeys away.

    One-time codes, recovery codes and passkeys, for somebody whose devices are gone. Their sessions end, and their password alone signs them in.
    """
    _of_member(data, sign_in_name, lambda member: lambda change: operations.reset_second_factor(change, member.id))
    say("Their password alone signs them in now.")


@app.command("remove")
def remove(sign_in_name: SignInName, data: DataFolder = None) -> None:
    """Remove a member.

    Their sessions end, and their tokens are revoked.
    """
    _of_member(data, sign_in_name, lambda member: lambda change: operations.remove(change, member.id))
    say("The member is removed, and their tokens are revoked.")


def _of_member(
    data: Path | None, sign_in_name: str, operation: Callable[[Member], Callable[[Change], Awaitable[T]]]
) -> T:
    """Carry an operation on a member out. Raises CommandError."""

    async def work(database: Database, settings: Settings) -> T:
        member = await members.find_by_name(database, sign_in_name.lower())
        if member is None:
            raise CommandError(
                f"nobody signs in as {sign_in_name!r}",
                f"`{own_command('members', 'list', 'ACCOUNT', data=data)}` shows an account's members.",
            )
        return await changed(database, settings, member.account_id, operation(member))

    try:
        return with_database(data, work)
    except NotFound as error:
        raise CommandError(str(error)) from None
    except (Refused, Invalid) as error:
        raise CommandError(str(error)) from None


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise CommandError(f"there is no role {name!r}", f"There are: {', '.join(Role)}.") from None


def _show_link(made: NewLink, *, as_json: bool) -> None:
    if as_json:
        write_json(
            {
                "member": _public(made.member),
                "secret": made.secret,
                "url": made.url,
                "expires_at": made.expires_at,
            }
        )
        return
    say(
        f"The link for {made.member.sign_in_name!r}, shown only now, good once and until {utc_time(made.expires_at)} UTC:"
        f"\n\n    {made.url}\n"
    )


def _public(member: Member) -> dict[str, Any]:
    return {
        "id": member.id,
        "name": member.name,
        "sign_in_name": member.sign_in_name,
        "role": member.role,
        "projects": member.projects,
        "state": member.state,
        "created_at": member.created_at,
        "joined_at": member.joined_at,
        "signed_in_at": member.signed_in_at,
    }
