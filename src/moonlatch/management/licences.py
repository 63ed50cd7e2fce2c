"""Licence endpoints: offline licences for hosts without HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from pydantic import ConfigDict, Field

from moonlatch.errors import rate_limited
from moonlatch.licensing.lease import MAX_LICENCE_DAYS
from moonlatch.licensing.roles import Permission
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall
from moonlatch.management.fields import Closed, Id, Integral
from moonlatch.management.owned import OwnedUser
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import licences
from moonlatch.operations.refusals import Reason

router = resource_router("users")

NOT_OFFLINE = DocumentedError(1, Reason.NOT_OFFLINE, 403)
UPDATE_REQUIRED = DocumentedError(2, Reason.UPDATE_REQUIRED, 409)
NOT_GRANTED = DocumentedError(3, Reason.NOT_GRANTED, 403, {"refusal": "FINGERPRINT_MISMATCH"})
NOT_LEASABLE = DocumentedError(4, Reason.NOT_LEASABLE, 403)


class NewLicence(Closed):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"script_id": "SCRIPT_ID", "device": "76561198000000000", "days": 30}]}
    )

    script_id: Id
    device: Annotated[
        str, Field(pattern=r"^[ -~]{1,512}$", description="the fingerprint, as the program's host table gives it")
    ]
    days: Annotated[
        Annotated[int, Field(ge=1, le=MAX_LICENCE_DAYS), Integral] | None,
        Field(description="how long it lasts; the script's offline_days without it"),
    ] = None


class LicenceView(Reply):
    """An offline licence. Times in Unix milliseconds."""

    model_config = example(
        program="moonlatch_licence = [[...]] ...", build=3, expires=1_773_216_500_000, grace=1_773_302_900_000
    )

    program: str = Field(
        description="Lua: the script's loader and the licence it starts the build by; empty of a dry run"
    )
    build: int
    expires: int
    grace: int = Field(description="until then it starts the script, with a warning")


class LicenceReply(Success):
    licence: LicenceView


@router.post(
    "/users/{key}/licence",
    summary="Make an offline licence",
    responses=refusing(ACCOUNT_EXPIRED, NOT_OFFLINE, UPDATE_REQUIRED, NOT_GRANTED, NOT_LEASABLE),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def create_licence(
    user: OwnedUser,
    new: Annotated[NewLicence, Depends(JsonBody(NewLicence))],
    call: CurrentCall,
    backend: CurrentBackend,
) -> LicenceReply:
    """For a key on one device whose program has no HTTP. Binds the key to the device, as a start does."""
    allowance = await backend.licences_made.take(call.actor.account_id)
    if not allowance.allowed:
        raise rate_limited(allowance.retry_after_seconds)
    asked = licences.Asked(script=new.script_id, fingerprint=new.device, days=new.days)
    return await call.carry_out(
        lambda intent: licences.create(call.world, call.actor, user, asked, intent=intent),
        lambda made: LicenceReply(
            licence=LicenceView(program=made.program, build=made.build, expires=made.expires, grace=made.grace)
        ),
    )
