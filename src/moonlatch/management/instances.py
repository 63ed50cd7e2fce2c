"""Instance endpoints: the copies of a script that run, whether or not they have a session, and how to stop them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from moonlatch.licensing.roles import Permission
from moonlatch.live.interface import RunningCopy
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import Empty
from moonlatch.management.owned import OwnedInstance, OwnedScript, OwnedUser
from moonlatch.management.paging import PageQuery
from moonlatch.management.refusals import ACCOUNT_EXPIRED, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import sessions, users

router = resource_router("instances")


class InstanceView(Reply):
    """A running copy; `user_key` is null for a keyless user of a free-for-all script, `session_id` without an open session."""

    model_config = example(
        id="INSTANCE_ID",
        user_key="USER_KEY",
        script_id="SCRIPT_ID",
        build=3,
        started_at=1_770_624_500_000,
        session_id=None,
    )

    id: str
    user_key: str | None
    script_id: str
    build: int
    started_at: int
    session_id: str | None

    @classmethod
    def of(cls, copy: RunningCopy, *, user_key: str | None) -> InstanceView:
        """`user_key` is the key of its user as it may be shown."""
        return cls(
            id=copy.instance.id,
            user_key=user_key,
            script_id=copy.instance.script_id,
            build=copy.instance.build,
            started_at=copy.instance.started_at,
            session_id=copy.session_id,
        )


class InstancesReply(Success):
    instances: list[InstanceView]


@router.get(
    "/scripts/{script_id}/instances",
    summary="List a script's running copies",
    openapi_extra=needs(Permission.SESSIONS_READ),
)
async def list_instances(
    script: OwnedScript, page: Annotated[PageQuery, Query()], call: CurrentReading, backend: CurrentBackend
) -> InstancesReply:
    """A page of the copies that run, oldest first: those with an open session, and those that beat without one."""
    found = await backend.live.copies(script.id, page.offset, page.size)
    keys = await call.keys_of(script.project_id, [copy.instance.user_id for copy in found])
    return InstancesReply(
        instances=[InstanceView.of(copy, user_key=keys.get(copy.instance.user_id or "")) for copy in found]
    )


@router.post(
    "/instances/{instance_id}/stop", summary="Stop a running copy", openapi_extra=needs(Permission.SESSIONS_STOP)
)
async def stop_instance(
    instance: OwnedInstance, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """For good: at once where it has a session, otherwise with its next heartbeat. Its place is free at once."""
    return await call.change(lambda change: sessions.stop(change, instance), lambda _: Success())


@router.post(
    "/users/{key}/revoke_instances",
    summary="Stop every copy of a user's key",
    responses=refusing(ACCOUNT_EXPIRED),
    openapi_extra=needs(Permission.SESSIONS_STOP, is_conditional=True),
)
async def revoke_instances(
    user: OwnedUser, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Those that run now, known or not, are stopped for good, and what they hold is void. The key starts again."""
    return await call.change(lambda change: users.revoke_instances(change, user.id), lambda _: Success())
