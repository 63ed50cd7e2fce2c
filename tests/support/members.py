"""Members of accounts, and the browsers that they are signed in with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from moonlatch import crypto, proofs
from moonlatch.licensing.roles import Role
from moonlatch.storage import member_sessions, members
from moonlatch.storage.accounts import Account
from moonlatch.storage.member_sessions import MemberSession
from moonlatch.storage.members import Member
from moonlatch.web.origin import Place
from support.management import Api, Developer, done

PASSWORD = "correct horse battery"


@dataclass
class Browser(Developer):
    """A member's browser: it holds a cookie and sends what our page sends with it."""

    csrf: str = ""
    origin: str = ""
    member_id: str = ""
    session_id: str = ""

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = {"Cookie": f"{Place.LOCAL.value}={self.token}"}
        if method != "GET":
            headers |= {"Origin": self.origin, "X-CSRF-Token": self.csrf}
        headers |= options.pop("headers", {})
        if body is not None:
            options["json"] = body
        reply = await self.http.request(method, path, headers=headers, **options)
        self.http.cookies.clear()  # each browser has its own
        return reply


async def member_of(api: Api, account: Account, role: Role = Role.OWNER, **columns: Any) -> Member:
    """A fresh member who has taken their invitation, without a password; further arguments are columns."""
    now = api.clock()
    member = Member(
        **{
            "id": crypto.new_id(),
            "account_id": account.id,
            "name": f"a {role}",
            "sign_in_name": crypto.new_id().lower(),
            "role": role,
            "projects": None,
            "joined_at": now,
            "invited_by": "a test",
            "created_at": now,
            **columns,
        }
    )
    await api.database.run(lambda tx: members.insert(tx, member))
    return member


async def browser_of(api: Api, account: Account, member: Member, **columns: Any) -> Browser:
    """A browser in which a member has signed in; further arguments are the session's columns."""
    secret = proofs.new_secret()
    session = MemberSession(
        **{
            "id": crypto.new_id(),
            "member_id": member.id,
            "hash": proofs.secret_hash(secret),
            "created_at": api.clock(),
            "last_used_at": api.clock(),
            "address": "127.0.0.1",
            "user_agent": "test",
            **columns,
        }
    )
    await api.database.run(lambda tx: member_sessions.insert(tx, session, keep=50))
    return Browser(
        account, secret, api.http, proofs.csrf_token(secret), api.url, member_id=member.id, session_id=session.id
    )


async def signed_in(api: Api, account: Account, role: Role = Role.OWNER, **columns: Any) -> Browser:
    """A fresh member in a browser."""
    return await browser_of(api, account, await member_of(api, account, role, **columns))


async def visit(api: Api, path: str, body: Any, **headers: str) -> httpx.Response:
    """A call of somebody who is nobody yet, from a page of the server."""
    reply = await api.http.post(path, json=body, headers={"Origin": api.url, **headers})
    api.http.cookies.clear()
    return reply


def browser_from(api: Api, account: Account, reply: httpx.Response) -> Browser:
    """The browser that a reply has signed in."""
    me = done(reply)["me"]
    header = reply.headers["set-cookie"]
    name, _, rest = header.partition("=")
    assert name == Place.LOCAL.value
    return Browser(
        account, rest.partition(";")[0], api.http, me["csrf"], api.url, member_id=me["id"], session_id=me["session_id"]
    )


async def accepted(api: Api, account: Account, secret: str, password: str = PASSWORD) -> Browser:
    """The browser of somebody who took an invitation."""
    return browser_from(api, account, await visit(api, "/auth/accept", {"secret": secret, "password": password}))


async def invited(owner: Developer, role: Role = Role.SUPPORT, **fields: Any) -> Any:
    """The reply to an invitation."""
    body = {"name": "Ana", "sign_in_name": f"{crypto.new_id().lower()}@example.com", "role": role, **fields}
    return done(await owner.post("/members", body))
