"""What happened to a customer: the starts of a key and how they ended, and what it was refused with."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from moonlatch.licensing.roles import Permission
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.fields import Closed
from moonlatch.management.owned import OwnedUser
from moonlatch.management.paging import DEFAULT_LIMIT, EmptyIsAbsent, QueryInteger, Size
from moonlatch.management.picture import device_picture
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.storage.last_starts import PastExecution, executions_of
from moonlatch.storage.user_history import Moment, PastRefusal, refusals_of
from moonlatch.storage.users import User

router = resource_router("users")

_END_OF_TIME = 2**62
_PICTURE = "🟥🟧🟨🟩🟦🟪 -> ip\n🟫⬛🟥🟥🟦🟩 -> fingerprint\n🟩🟩🟪🟧🟥🟫 -> executor"

Cursor = Annotated[str, Field(pattern=r"^[0-9]{1,18}-[A-Za-z0-9]{1,64}$")]


class ExecutionQuery(Closed):
    cursor: Annotated[Cursor | None, EmptyIsAbsent, Field(description="`next` of the page before")] = None
    limit: Annotated[Size, QueryInteger, Field(description="how many, default 50")] = DEFAULT_LIMIT

    @property
    def before(self) -> tuple[int, str]:
        """When the last one of the page before started, and its id."""
        if self.cursor is None:
            return _END_OF_TIME, ""
        started_at, _, execution_id = self.cursor.partition("-")
        return int(started_at), execution_id


class ExecutionView(Reply):
    """One start of a key, and what became of it. Times in Unix milliseconds."""

    model_config = example(
        id="EXECUTION_ID",
        script_id="SCRIPT_ID",
        build=3,
        executor="Delta",
        started_at=1_770_624_500_000,
        luaauth_fingerprint=_PICTURE,
        state="stopped",
        code="KEY_EXPIRED",
        ended_at=1_770_628_100_000,
    )

    id: str
    script_id: str
    build: int
    executor: str | None
    started_at: int
    luaauth_fingerprint: str | None = Field(description="network, device and program, as the user has them")
    state: Literal["running", "stopped", "gone"] = Field(
        description="`stopped`: by a refusal; `gone`: nothing is heard of it any more, as when its program was closed"
    )
    code: str | None = Field(description="of the refusal that stopped it")
    ended_at: int | None = Field(
        description="when it was stopped, or its last session was closed; null where nobody knows"
    )

    @classmethod
    def of(cls, execution: PastExecution, user: User, *, is_alive: bool) -> ExecutionView:
        is_running = is_alive and execution.code is None
        return cls(
            id=execution.id,
            script_id=execution.script_id,
            build=execution.build,
            executor=execution.executor,
            started_at=execution.started_at,
            luaauth_fingerprint=device_picture(
                project_id=user.project_id,
                ip=execution.ip,
                fingerprint=execution.fingerprint,
                executor=execution.executor,
            ),
            state="stopped" if execution.code is not None else "running" if is_running else "gone",
            code=execution.code,
            ended_at=None if is_running else execution.ended_at,
        )


class ExecutionsReply(Success):
    executions: list[ExecutionView]
    next: str | None = Field(description="`cursor` of the next page; null on the last", examples=[None])


class RefusalView(Reply):
    """What a key was refused with: of one day, with one code, for one script and device. Times in Unix milliseconds."""

    model_config = example(
        code="FINGERPRINT_MISMATCH",
        moment="start",
        at=1_770_624_500_000,
        first_at=1_770_624_100_000,
        times=3,
        script_id="SCRIPT_ID",
        executor="Delta",
        luaauth_fingerprint=_PICTURE,
    )

    code: str = Field(description="as the customer's program was told it")
    moment: Moment = Field(description="when it wanted to start, with a heartbeat, or while it had a session")
    at: int = Field(description="the last time")
    first_at: int = Field(description="the first time that day")
    times: int
    script_id: str
    executor: str | None
    luaauth_fingerprint: str | None = Field(description="network, device and program it came from, as far as it told")

    @classmethod
    def of(cls, refusal: PastRefusal, user: User) -> RefusalView:
        return cls(
            code=refusal.code,
            moment=refusal.moment,
            at=refusal.refused_at,
            first_at=refusal.first_at,
            times=refusal.times,
            script_id=refusal.script_id,
            executor=refusal.executor,
            luaauth_fingerprint=device_picture(
                project_id=user.project_id, ip=refusal.ip, fingerprint=refusal.fingerprint, executor=refusal.executor
            ),
        )


class RefusalsReply(Success):
    refusals: list[RefusalView]


@router.get("/users/{key}/executions", summary="List a user's executions", openapi_extra=needs(Permission.KEYS_READ))
async def list_user_executions(
    user: OwnedUser, query: Annotated[ExecutionQuery, Query()], backend: CurrentBackend
) -> ExecutionsReply:
    """The newest first: where each start came from, and how it ended. They are kept for `retention.detail_days`."""
    found = await executions_of(backend.database, user.id, before=query.before, limit=query.limit)
    alive = await backend.live.alive([each.id for each in found if each.code is None])
    last = found[-1] if len(found) == query.limit else None
    return ExecutionsReply(
        executions=[ExecutionView.of(each, user, is_alive=each.id in alive) for each in found],
        next=None if last is None else f"{last.started_at}-{last.id}",
    )


@router.get("/users/{key}/refusals", summary="List a user's refusals", openapi_extra=needs(Permission.KEYS_READ))
async def list_user_refusals(user: OwnedUser, backend: CurrentBackend) -> RefusalsReply:
    """What its starts and running copies were last refused with, the newest first: at most 20, kept for `retention.detail_days`."""
    return RefusalsReply(refusals=[RefusalView.of(each, user) for each in await refusals_of(backend.database, user.id)])
