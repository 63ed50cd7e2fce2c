"""Remotes: server webhooks and server functions, which scripts reach by name instead of containing an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends
from pydantic import ConfigDict, Field

from moonlatch.json_bounds import decode
from moonlatch.licensing.remotes import (
    MAX_PER_MINUTE,
    MAX_TIMEOUT_SECONDS,
    PER_INSTANCE,
    PER_KEY,
    TIMEOUT_SECONDS,
    RemoteKind,
)
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.server_variables import NAME
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import Call, CurrentCall, CurrentReading
from moonlatch.management.fields import Closed, Empty, Id, Json, OneOf
from moonlatch.management.owned import OwnedProject, OwnedRemote, OwnedScript
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import remotes as operations
from moonlatch.operations.refusals import Reason
from moonlatch.storage import remotes
from moonlatch.storage.remotes import Remote

router = resource_router("remotes")

MAX_REMOTES = DocumentedError(1, Reason.MAX_REMOTES, 403)

PerMinute = Annotated[int, Field(ge=1, le=MAX_PER_MINUTE)]


class SetRemote(Closed):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "drops",
                    "kind": "webhook",
                    "endpoint_id": "ENDPOINT_ID",
                    "template": {"content": "{{player}} found {{item}}"},
                }
            ]
        }
    )

    name: Annotated[str, Field(pattern=f"^{NAME}$", description="what scripts call it by")]
    kind: Annotated[
        str, OneOf(RemoteKind), Field(description="`webhook`: posted and forgotten; `function`: asked, and answers")
    ]
    endpoint_id: Annotated[Id, Field(description="the webhook endpoint of the project that has address and secret")]
    template: Annotated[
        Json,
        Field(description="body of a webhook, as JSON of at most 4,096 bytes with `{{name}}` for the script's data"),
    ] = None
    per_key: Annotated[PerMinute, Field(description="calls of one key in a minute")] = PER_KEY
    per_instance: Annotated[PerMinute, Field(description="calls of one running copy in a minute")] = PER_INSTANCE
    timeout_seconds: Annotated[
        int, Field(ge=1, le=MAX_TIMEOUT_SECONDS, description="how long a function may take to answer")
    ] = TIMEOUT_SECONDS


class RemoteView(Reply):
    """A server webhook or server function. Times in Unix milliseconds."""

    model_config = example(
        id="REMOTE_ID",
        project_id="PROJECT_ID",
        script_id=None,
        endpoint_id="ENDPOINT_ID",
        kind="webhook",
        name="drops",
        template={"content": "{{player}} found {{item}}"},
        per_key=30,
        per_instance=10,
        timeout_seconds=5,
        created_at=1_768_000_000_000,
        updated_at=1_770_624_500_000,
    )

    id: str
    project_id: str
    script_id: str | None = Field(description="the script whose it is; null: the project's")
    endpoint_id: str
    kind: str
    name: str
    template: Any = Field(description="any JSON; null: the script's data is sent as it is")
    per_key: int
    per_instance: int
    timeout_seconds: int
    created_at: int
    updated_at: int

    @classmethod
    def of(cls, remote: Remote) -> RemoteView:
        shown = {name: getattr(remote, name) for name in cls.model_fields}
        return cls(**{**shown, "template": None if remote.template is None else decode(remote.template)})


class RemoteReply(Success):
    remote: RemoteView


class RemotesReply(Success):
    remotes: list[RemoteView]


_REFUSED = refusing(ACCOUNT_EXPIRED, MAX_REMOTES)
Wanted = Annotated[SetRemote, Depends(JsonBody(SetRemote))]


@router.get(
    "/projects/{project_id}/remotes",
    summary="List a project's server webhooks and functions",
    openapi_extra=needs(Permission.WEBHOOKS_READ),
)
async def list_project_remotes(project: OwnedProject, backend: CurrentBackend) -> RemotesReply:
    """Those that all of its scripts reach, by name; not those of one script."""
    return _listed(await remotes.list_of(backend.database, project.id, script_id=None))


@router.post(
    "/projects/{project_id}/remotes",
    summary="Set a server webhook or function of a project",
    responses=_REFUSED,
    openapi_extra=needs(Permission.WEBHOOKS_WRITE, is_conditional=True),
)
async def set_project_remote(project: OwnedProject, wanted: Wanted, call: CurrentCall) -> RemoteReply:
    """For all of its scripts that have none of that name themselves, from the next call on."""
    return await _set(call, project.id, None, wanted)


@router.get(
    "/scripts/{script_id}/remotes",
    summary="List a script's server webhooks and functions",
    openapi_extra=needs(Permission.WEBHOOKS_READ),
)
async def list_script_remotes(script: OwnedScript, backend: CurrentBackend) -> RemotesReply:
    """Its own, by name."""
    return _listed(await remotes.list_of(backend.database, script.project_id, script_id=script.id))


@router.post(
    "/scripts/{script_id}/remotes",
    summary="Set a server webhook or function of a script",
    responses=_REFUSED,
    openapi_extra=needs(Permission.WEBHOOKS_WRITE, is_conditional=True),
)
async def set_script_remote(script: OwnedScript, wanted: Wanted, call: CurrentCall) -> RemoteReply:
    """It goes before the project's of that name."""
    return await _set(call, script.project_id, script.id, wanted)


@router.get(
    "/remotes/{remote_id}",
    summary="Get a server webhook or function",
    openapi_extra=needs(Permission.WEBHOOKS_READ),
)
async def get_remote(remote: OwnedRemote, call: CurrentReading) -> RemoteReply:
    """With its template. Where it leads, its endpoint shows."""
    call.tag(operations.version(remote))
    return RemoteReply(remote=RemoteView.of(remote))


@router.post(
    "/remotes/{remote_id}/remove",
    summary="Remove a server webhook or function",
    openapi_extra=needs(Permission.WEBHOOKS_WRITE, is_conditional=True),
)
async def remove_remote(
    remote: OwnedRemote, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Its endpoint stays, with what waits to be sent there."""
    return await call.change(lambda change: operations.remove(change, remote.id), lambda _: Success())


def _listed(found: Sequence[Remote]) -> RemotesReply:
    return RemotesReply(remotes=[RemoteView.of(remote) for remote in found])


async def _set(call: Call, project_id: str, script_id: str | None, wanted: SetRemote) -> RemoteReply:
    settings = operations.Settings(
        kind=RemoteKind(wanted.kind),
        endpoint_id=wanted.endpoint_id,
        template=wanted.template,
        per_key=wanted.per_key,
        per_instance=wanted.per_instance,
        timeout_seconds=wanted.timeout_seconds,
    )
    return await call.change(
        lambda change: operations.put(change, project_id, script_id, wanted.name, settings),
        lambda remote: RemoteReply(remote=RemoteView.of(remote)),
        version=operations.version,
    )
