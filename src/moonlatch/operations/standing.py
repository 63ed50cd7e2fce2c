"""What whoever acts may at the moment of the change: from a call's head, which says who it is, to its end they may have been lowered or removed."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from moonlatch.licensing.key import has_passed
from moonlatch.licensing.roles import ALL, PERMISSIONS, Permission, Role
from moonlatch.operations.context import Actor, ActorKind, GuildMember
from moonlatch.operations.refusals import NotAllowed
from moonlatch.storage import discord_links, member_sessions, members, tokens
from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.members import Member
from moonlatch.storage.tokens import Token

SESSION_ENDED = "the session has ended: sign in again"
NOT_LINKED = "this Discord server is not linked to the project"
INVALID_TOKEN = "invalid token"  # noqa: S105 -- a message

Reach = tuple[frozenset[Permission], frozenset[str] | None]
"""Permissions and projects; None for the projects is all."""


async def still_standing(db: Database | Transaction, actor: Actor, *, now: int) -> Actor:
    """The actor with what they may at `now` (Unix milliseconds). Raises NotAllowed for one who may no longer act at all.

    Whoever signs in has no session yet, and operators and jobs have nothing that could be taken from them.
    """
    if actor.kind is ActorKind.TOKEN:
        token = await tokens.find_owned(db, actor.id, actor.account_id)
        reach = None if token is None else await reach_of_token(db, token, now=now)
        if reach is None:
            raise NotAllowed(INVALID_TOKEN)
    elif actor.session_id is not None:
        member = await member_sessions.find_member(db, actor.session_id)
        if member is None or not member.is_active:
            raise NotAllowed(SESSION_ENDED)
        reach = reach_of_member(member)
    elif actor.guild_member is not None:
        reach = await reach_of_guild_member(db, actor.account_id, actor.guild_member, actor.projects or ())
        if reach is None:
            raise NotAllowed(NOT_LINKED)
    else:
        return actor
    return dataclasses.replace(actor, permissions=reach[0], projects=reach[1])


async def reach_of_token(db: Database | Transaction, token: Token, *, now: int) -> Reach | None:
    """What a token may at `now` (Unix milliseconds); None for one that is no longer good, or whose member may no longer act.

    Never more than its member has now, however much they had when they made it.
    """
    if token.revoked_at is not None or has_passed(token.expires_at, now):
        return None
    permissions = ALL if token.permissions is None else frozenset(token.permissions)
    projects = None if token.projects is None else frozenset(token.projects)
    if token.member_id is None:
        return permissions, projects
    maker = await members.find_owned(db, token.member_id, token.account_id)
    if maker is None or not maker.is_active:
        return None
    own_permissions, own_projects = reach_of_member(maker)
    if own_projects is not None:
        projects = own_projects if projects is None else projects & own_projects
    return permissions & own_permissions, projects


async def reach_of_guild_member(
    db: Database | Transaction, account_id: str, member: GuildMember, project_ids: Collection[str]
) -> Reach | None:
    """What somebody may in one of these projects by their roles on its Discord server; None where it is not linked to that server.

    Whoever has none of the roles that mean something here may nothing, and is a customer.
    """
    for project_id in project_ids:
        link = await discord_links.find(db, project_id)
        if link is None or link.account_id != account_id or link.guild_id != member.guild_id:
            return None
        roles = [Role(link.roles[each]) for each in member.roles if each in link.roles]
        return frozenset().union(*(PERMISSIONS[role] for role in roles)), frozenset({project_id})
    return None


def reach_of_member(member: Member) -> Reach:
    """What a member's role and projects are."""
    return PERMISSIONS[member.role], None if member.projects is None else frozenset(member.projects)
