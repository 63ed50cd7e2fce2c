"""One call of the API on its way through its handler: who calls, and how the change that it asks for is to be made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from moonlatch.errors import invalid_field
from moonlatch.licensing.roles import Permission
from moonlatch.live.interface import Session
from moonlatch.management.auth import CurrentCaller
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.identity import Caller
from moonlatch.management.once import Once
from moonlatch.management.replies import SessionView, Success, UserView
from moonlatch.operations.changing import Change, Intent, perform
from moonlatch.operations.context import Actor, World
from moonlatch.storage import users
from moonlatch.storage.interface import Transaction
from moonlatch.storage.user_history import PastRefusal, last_refusals
from moonlatch.storage.user_keys import key_of, masked_key_of
from moonlatch.storage.users import User

T = TypeVar("T")
R = TypeVar("R", bound=Success)

SUCCESS = 200


@dataclass(slots=True)
class Reading:
    """What a handler that only reads needs besides its own parameters."""

    backend: Backend
    caller: Caller
    response: Response

    @property
    def actor(self) -> Actor:
        return self.caller.actor

    @property
    def reveals_keys(self) -> bool:
        """Return whether the caller may see keys whole."""
        return self.actor.may(Permission.KEYS_REVEAL)

    def user(self, user: User, last_refusal: PastRefusal | None = None) -> UserView:
        """A user as this caller may see it; whoever is new or comes back has no refusals."""
        return UserView.of(user, self.backend.clock(), key=self._shown_key(user), last_refusal=last_refusal)

    async def users(self, found: Sequence[User]) -> list[UserView]:
        """Users as this caller may see them, with what each was last refused with."""
        refusals = await last_refusals(self.backend.database, [user.id for user in found])
        return [self.user(user, refusals.get(user.id)) for user in found]

    async def sessions(self, project_id: str, found: Sequence[Session]) -> list[SessionView]:
        """Sessions of a project as this caller may see them."""
        keys = await self.keys_of(project_id, [session.user_id for session in found])
        return [SessionView.of(session, user_key=keys.get(session.user_id or "")) for session in found]

    async def keys_of(self, project_id: str, user_ids: Iterable[str | None]) -> dict[str, str]:
        """Keys of a project's users as this caller may see them, by the users' ids."""
        ids = {user_id for user_id in user_ids if user_id is not None}
        found = await users.find_all(self.backend.database, project_id, list(ids))
        return {user.id: self._shown_key(user) for user in found}

    def _shown_key(self, user: User) -> str:
        """A user's key as this caller may see it."""
        return (key_of if self.reveals_keys else masked_key_of)(self.backend.keyring, user)

    def tag(self, version: str) -> None:
        """Give the reply an entity tag, which `If-Match` takes."""
        self.response.headers["ETag"] = f'"{version}"'


@dataclass(slots=True)
class Call(Reading):
    """What a handler that changes something needs besides its own parameters."""

    is_dry_run: bool
    expected: str | None
    once: Once | None

    @property
    def world(self) -> World:
        return self.backend.world

    async def change(
        self,
        operation: Callable[[Change], Awaitable[T]],
        shown: Callable[[T], R],
        *,
        version: Callable[[T], str] | None = None,
    ) -> R:
        """Carry an operation out and give the reply that `shown` makes of its result; `version` gives its entity tag."""
        return await self.carry_out(
            lambda intent: perform(self.world, self.actor, operation, intent), shown, version=version
        )

    async def carry_out(
        self,
        operation: Callable[[Intent[T]], Awaitable[T]],
        shown: Callable[[T], R],
        *,
        version: Callable[[T], str] | None = None,
    ) -> R:
        """As `change`, for an operation that has its transaction to itself."""
        once = self.once
        answer: R | None = None

        async def keep(tx: Transaction, result: T) -> None:
            nonlocal answer
            assert once is not None
            answer = shown(result)
            await once.keep(tx, SUCCESS, answer.model_dump_json().encode())

        intent = Intent(
            is_dry_run=self.is_dry_run,
            expected=self.expected,
            keep=keep if once is not None and not self.is_dry_run else None,
        )
        result = await operation(intent)
        if answer is None:
            answer = shown(result)
        if version is not None:
            self.tag(version(result))
        if self.is_dry_run:
            body = {**answer.model_dump(mode="json"), "dry_run": True}
            return cast("R", JSONResponse(body, headers=dict(self.response.headers)))
        return answer


def _expected(request: Request) -> str | None:
    """The version of an `If-Match` header (RFC 9110 section 13.1.1); None where any will do."""
    header = request.headers.get("if-match", "*").strip()
    if header == "*":
        return None
    if len(header) < 2 or header[0] != '"' or header[-1] != '"' or '"' in header[1:-1]:
        raise invalid_field("If-Match", "must be one entity tag as a reply's ETag shows it, or *")
    return header[1:-1]


async def current_call(
    request: Request,
    response: Response,
    caller: CurrentCaller,
    backend: CurrentBackend,
    dry_run: Annotated[
        bool, Query(description="check everything, change nothing, and answer as if it had been done")
    ] = False,
) -> Call:
    once: Once | None = getattr(request.state, "once", None)
    return Call(backend, caller, response, dry_run, _expected(request), once)


async def current_reading(response: Response, caller: CurrentCaller, backend: CurrentBackend) -> Reading:
    return Reading(backend, caller, response)


CurrentCall = Annotated[Call, Depends(current_call)]
CurrentReading = Annotated[Reading, Depends(current_reading)]
