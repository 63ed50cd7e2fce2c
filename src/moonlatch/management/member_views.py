"""What replies show of members: of others, and of oneself. Never anything that proves who somebody is."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.signing_in import SignInRules, passkey_site
from moonlatch.management.identity import Caller
from moonlatch.management.replies import Reply, Success, example
from moonlatch.operations.context import ActorKind
from moonlatch.storage.member_sessions import MemberSession
from moonlatch.storage.members import Member
from moonlatch.storage.passkeys import Passkey


class MemberView(Reply):
    """A member as others of the account see them. Times in Unix milliseconds."""

    model_config = example(
        id="MEMBER_ID",
        name="Ana",
        sign_in_name="ana@example.com",
        role="support",
        projects=["PROJECT_ID"],
        state="active",
        totp_enabled=True,
        passkeys=1,
        invited_by="owner",
        created_at=1_768_000_000_000,
        joined_at=1_768_000_100_000,
        signed_in_at=1_770_624_480_000,
        link_expires_at=None,
    )

    id: str
    name: str
    sign_in_name: str
    role: str
    projects: list[str] | None = Field(description="ids; null: all of the account's")
    state: str = Field(description="`invited`, `active` or `disabled`")
    totp_enabled: bool = Field(description="whether a password needs a one-time code beside it")
    passkeys: int
    invited_by: str
    created_at: int
    joined_at: int | None
    signed_in_at: int | None
    link_expires_at: int | None = Field(description="of a one-time link that waits to be used")

    @classmethod
    def of(cls, member: Member, *, passkeys: int = 0, link_expires_at: int | None = None) -> MemberView:
        return cls(
            id=member.id,
            name=member.name,
            sign_in_name=member.sign_in_name,
            role=member.role,
            projects=None if member.projects is None else list(member.projects),
            state=member.state,
            totp_enabled=member.totp_enabled,
            passkeys=passkeys,
            invited_by=member.invited_by,
            created_at=member.created_at,
            joined_at=member.joined_at,
            signed_in_at=member.signed_in_at,
            link_expires_at=link_expires_at,
        )


class MeView(Reply):
    """Who calls, and what they may. What only members have is null for a token. Times in Unix milliseconds."""

    model_config = example(
        kind="member",
        id="MEMBER_ID",
        name="Ana",
        account_id="ACCOUNT_ID",
        account_name="owner",
        permissions=["keys:read", "keys:write"],
        projects=["PROJECT_ID"],
        role="support",
        sign_in_name="ana@example.com",
        csrf="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        session_id="SESSION_ID",
        session_ends_at=1_770_624_500_000,
        confirmed_until=1_770_600_000_000,
        totp_enabled=True,
        passkeys_available=True,
    )

    kind: str = Field(description="`member` or `token`")
    id: str
    name: str
    account_id: str
    account_name: str
    permissions: list[str]
    projects: list[str] | None = Field(description="ids; null: all of the account's")
    role: str | None
    sign_in_name: str | None
    csrf: str | None = Field(description="to be sent as `X-CSRF-Token` with each change that is made by the cookie")
    session_id: str | None
    session_ends_at: int | None = Field(description="unless it is used again before")
    confirmed_until: int | None = Field(description="until when password and second factor may be changed")
    totp_enabled: bool | None
    passkeys_available: bool = Field(description="whether browsers know passkeys at this server's address")

    @classmethod
    def of(cls, caller: Caller, rules: SignInRules) -> MeView:
        return cls(
            kind=caller.actor.kind,
            id=caller.actor.id,
            name=caller.actor.name,
            account_id=caller.account.id,
            account_name=caller.account.name,
            permissions=[each for each in Permission if each in caller.actor.permissions],
            projects=None if caller.actor.projects is None else sorted(caller.actor.projects),
            passkeys_available=passkey_site(rules.url) is not None,
            **_of_session(caller, rules),
        )


_OF_SESSION = ("role", "sign_in_name", "csrf", "session_id", "session_ends_at", "confirmed_until", "totp_enabled")


def _of_session(caller: Caller, rules: SignInRules) -> dict[str, Any]:
    if caller.signed_in is None or caller.actor.kind is not ActorKind.MEMBER:
        return dict.fromkeys(_OF_SESSION)
    member, session = caller.signed_in.member, caller.signed_in.session
    return {
        "role": member.role,
        "sign_in_name": member.sign_in_name,
        "csrf": caller.signed_in.csrf,
        "session_id": session.id,
        "session_ends_at": rules.session_ends_at(session.created_at, session.last_used_at),
        "confirmed_until": session.created_at + rules.recent_ms,
        "totp_enabled": member.totp_enabled,
    }


class MeReply(Success):
    me: MeView


class SignInSessionView(Reply):
    """A browser that is signed in. Times in Unix milliseconds."""

    model_config = example(
        id="SESSION_ID",
        current=True,
        address="192.0.2.7",
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
        created_at=1_770_000_000_000,
        last_used_at=1_770_624_480_000,
        ends_at=1_770_604_800_000,
    )

    id: str
    current: bool = Field(description="whether this call was made by it")
    address: str = Field(description="where it was last used from")
    user_agent: str
    created_at: int
    last_used_at: int = Field(description="to the minute")
    ends_at: int = Field(description="unless it is used again before")

    @classmethod
    def of(cls, session: MemberSession, *, current_id: str, rules: SignInRules) -> SignInSessionView:
        return cls(
            id=session.id,
            current=session.id == current_id,
            address=session.address,
            user_agent=session.user_agent,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            ends_at=rules.session_ends_at(session.created_at, session.last_used_at),
        )


class PasskeyView(Reply):
    """A passkey. Times in Unix milliseconds."""

    model_config = example(id="PASSKEY_ID", name="laptop", created_at=1_770_000_000_000, last_used_at=1_770_624_480_000)

    id: str
    name: str
    created_at: int
    last_used_at: int | None

    @classmethod
    def of(cls, passkey: Passkey) -> PasskeyView:
        return cls(id=passkey.id, name=passkey.name, created_at=passkey.created_at, last_used_at=passkey.last_used_at)
