"""Server variables: values that scripts ask for by name instead of containing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends
from pydantic import ConfigDict, Field

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.server_variables import CACHE_SECONDS, MAX_CACHE_SECONDS, NAME
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import Call, CurrentCall, CurrentReading
from moonlatch.management.fields import Closed, Empty, Json
from moonlatch.management.owned import OwnedProject, OwnedScript, OwnedUser, OwnedVariable
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import variables as operations
from moonlatch.operations.refusals import Reason
from moonlatch.operations.variables import Owner
from moonlatch.storage import variables
from moonlatch.storage.variables import Variable

router = resource_router("variables")

MAX_VARIABLES = DocumentedError(1, Reason.MAX_VARIABLES, 403)


class SetVariable(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "drop_rates", "value": {"rare": 0.02}}]})

    name: Annotated[str, Field(pattern=f"^{NAME}$", description="what scripts ask for")]
    value: Annotated[Json, Field(description="any JSON but null, of at most 8,192 bytes")]
    cache_seconds: Annotated[
        int, Field(ge=0, le=MAX_CACHE_SECONDS, description="how long a copy keeps it without asking again")
    ] = CACHE_SECONDS


class VariableView(Reply):
    """A server variable without its value. Times in Unix milliseconds."""

    model_config = example(
        id="VARIABLE_ID",
        project_id="PROJECT_ID",
        script_id=None,
        user_id=None,
        name="drop_rates",
        value_bytes=13,
        cache_seconds=300,
        created_at=1_768_000_000_000,
        updated_at=1_770_624_500_000,
    )

    id: str
    project_id: str
    script_id: str | None = Field(description="the script whose it is")
    user_id: str | None = Field(description="the user whose it is; null as `script_id` is: the project's")
    name: str
    value_bytes: int = Field(description="size of the value as JSON")
    cache_seconds: int
    created_at: int
    updated_at: int

    @classmethod
    def of(cls, variable: Variable) -> VariableView:
        return cls(**{name: getattr(variable, name) for name in cls.model_fields})


class VariableReply(Success):
    variable: VariableView


class VariableValueReply(VariableReply):
    value: Any = Field(description="any JSON", examples=[{"rare": 0.02}])


class VariablesReply(Success):
    variables: list[VariableView]


_REFUSED = refusing(ACCOUNT_EXPIRED, MAX_VARIABLES)
Wanted = Annotated[SetVariable, Depends(JsonBody(SetVariable))]


@router.get(
    "/projects/{project_id}/variables",
    summary="List a project's server variables",
    openapi_extra=needs(Permission.SCRIPTS_READ),
)
async def list_project_variables(project: OwnedProject, backend: CurrentBackend) -> VariablesReply:
    """Those that hold for all of its scripts and keys, by name; not those of one script or key."""
    return _listed(await _of(backend, Owner(project.id)))


@router.post(
    "/projects/{project_id}/variables",
    summary="Set a server variable of a project",
    responses=_REFUSED,
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def set_project_variable(project: OwnedProject, wanted: Wanted, call: CurrentCall) -> VariableReply:
    """For all of its scripts and keys that have none of that name themselves. Copies with a session ask anew at once."""
    return await _set(call, Owner(project.id), wanted)


@router.get(
    "/scripts/{script_id}/variables",
    summary="List a script's server variables",
    openapi_extra=needs(Permission.SCRIPTS_READ),
)
async def list_script_variables(script: OwnedScript, backend: CurrentBackend) -> VariablesReply:
    """Its own, by name."""
    return _listed(await _of(backend, Owner(script.project_id, script_id=script.id)))


@router.post(
    "/scripts/{script_id}/variables",
    summary="Set a server variable of a script",
    responses=_REFUSED,
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def set_script_variable(script: OwnedScript, wanted: Wanted, call: CurrentCall) -> VariableReply:
    """It goes before the project's of that name."""
    return await _set(call, Owner(script.project_id, script_id=script.id), wanted)


@router.get(
    "/users/{key}/variables", summary="List a user's server variables", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def list_user_variables(user: OwnedUser, backend: CurrentBackend) -> VariablesReply:
    """The key's own, by name."""
    return _listed(await _of(backend, Owner(user.project_id, user_id=user.id)))


@router.post(
    "/users/{key}/variables",
    summary="Set a server variable of a user",
    responses=_REFUSED,
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def set_user_variable(user: OwnedUser, wanted: Wanted, call: CurrentCall) -> VariableReply:
    """For that key alone; it goes before the script's and the project's of that name."""
    return await _set(call, Owner(user.project_id, user_id=user.id), wanted)


@router.get(
    "/variables/{variable_id}",
    summary="Get a server variable with its value",
    openapi_extra=needs(Permission.SCRIPTS_WRITE),
)
async def get_variable(variable: OwnedVariable, call: CurrentReading) -> VariableValueReply:
    """Only for those who could change it, too."""
    call.tag(operations.version(variable))
    value = operations.value_of(call.backend.keyring, variable)
    return VariableValueReply(variable=VariableView.of(variable), value=value)


@router.post(
    "/variables/{variable_id}/remove",
    summary="Remove a server variable",
    openapi_extra=needs(Permission.SCRIPTS_WRITE, is_conditional=True),
)
async def remove_variable(
    variable: OwnedVariable, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Scripts that ask for it are given that of the script or project, or nil."""
    return await call.change(lambda change: operations.remove(change, variable.id), lambda _: Success())


async def _of(backend: CurrentBackend, owner: Owner) -> list[Variable]:
    return await variables.list_of(backend.database, owner.project_id, script_id=owner.script_id, user_id=owner.user_id)


def _listed(found: Sequence[Variable]) -> VariablesReply:
    return VariablesReply(variables=[VariableView.of(variable) for variable in found])


async def _set(call: Call, owner: Owner, wanted: SetVariable) -> VariableReply:
    return await call.change(
        lambda change: operations.put(change, owner, wanted.name, wanted.value, cache_seconds=wanted.cache_seconds),
        lambda variable: VariableReply(variable=VariableView.of(variable)),
        version=operations.version,
    )
