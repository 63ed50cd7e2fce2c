"""What every operation works with: the world it changes, and who changes it. Holds no rule and starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from moonlatch.clock import Clock
from moonlatch.keyring import Keyring
from moonlatch.licensing.roles import ALL, Permission
from moonlatch.licensing.signing_in import SignInRules
from moonlatch.licensing.tier import Tier, tier_of
from moonlatch.operations.refusals import NotAllowed
from moonlatch.operations.shares import Shares
from moonlatch.storage.accounts import Account
from moonlatch.storage.interface import Database

if TYPE_CHECKING:  # the command line starts without what it does not use
    from moonlatch.builds.publisher import Publisher
    from moonlatch.live.interface import Live
    from moonlatch.web.discord_api import DiscordApi
    from moonlatch.web.outgoing import Outgoing


@dataclass(frozen=True, slots=True)
class World:
    """One installation. Times come from `clock`, in Unix milliseconds.
    `live`, `publisher`, `outgoing` and `discord` are None where no server runs, `keyring` where the master key is not at hand.
    """

    database: Database
    tiers: Mapping[str, Tier]
    clock: Clock
    keyring: Keyring | None = None
    live: Live | None = None
    publisher: Publisher | None = None
    outgoing: Outgoing | None = None
    discord: DiscordApi | None = None
    signing_in: SignInRules = field(default=SignInRules())
    shares: Shares = field(default_factory=Shares)

    def tier_of(self, account: Account) -> Tier:
        return tier_of(self.tiers, account.tier)


class ActorKind(StrEnum):
    """By what way somebody acts."""

    TOKEN = "token"  # noqa: S105 -- a name
    MEMBER = "member"
    DISCORD = "discord"
    CLI = "cli"
    JOB = "job"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class GuildMember:
    """A member of a Discord server, as Discord signed it; `roles` are ids of that server's roles."""

    guild_id: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts on an account, and what they may do. `projects` None reaches every project of the account.

    `expires_at` (Unix milliseconds) and `networks` limit the token that stands for them, and so the tokens it makes.
    `member_id` is the member who acts, also by a token of theirs; `session_id` the sign-in session they act by, and
    `confirmed_at` (Unix milliseconds) when they proved there who they are. `guild_member` is what they act as from Discord, where `id`
    is their Discord id.
    """

    account_id: str
    kind: ActorKind
    id: str
    name: str
    permissions: frozenset[Permission] = field(default=ALL, repr=False)
    projects: frozenset[str] | None = None
    expires_at: int | None = None
    networks: tuple[str, ...] = ()
    member_id: str | None = None
    session_id: str | None = None
    confirmed_at: int | None = None
    guild_member: GuildMember | None = None
    address: str | None = None
    request_id: str | None = None

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def reaches(self, project_id: str) -> bool:
        """Return whether the project is among theirs; one that is not must look as if it were not there."""
        return self.projects is None or project_id in self.projects

    def require(self, permission: Permission) -> None:
        """Raise NotAllowed without it."""
        if permission not in self.permissions:
            raise NotAllowed(f"this needs the permission {permission}", permission)

    def require_operator(self) -> None:
        """Raise NotAllowed for whoever does not sit at the server itself."""
        if self.kind is not ActorKind.CLI:
            raise NotAllowed("this is for the installation's operator")

    def require_all_projects(self) -> None:
        """Raise NotAllowed for an actor of some projects only: what is asked for is the whole account's."""
        if self.projects is not None:
            raise NotAllowed("this needs access to all projects of the account")
