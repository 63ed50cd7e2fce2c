"""What a project keeps out: the devices and networks of blacklisted keys, listed and let in again."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import ConfigDict, Field

from moonlatch.licensing.roles import Permission
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import Closed, DeviceId
from moonlatch.management.owned import OwnedProject
from moonlatch.management.paging import PageQuery
from moonlatch.management.picture import squares
from moonlatch.management.refusals import ACCOUNT_EXPIRED, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import bars as operations
from moonlatch.storage import bars
from moonlatch.storage.bars import Bar

router = resource_router("users")

MOST_LIFTED = 1_000
_PICTURES = {"device": "fingerprint", "network": "network"}


class BarView(Reply):
    """A device or a network that is kept out of a project with a blacklisted key."""

    model_config = example(
        id="9f" * 32, kind="device", picture="🟫⬛🟥🟥🟦🟩", user_id="USER_ID", user_key="USER_KEY", expires_at=None
    )

    id: str = Field(description="a keyed hash; of a device, as the list of a user's devices has it")
    kind: Literal["device", "network"]
    picture: str = Field(description="six squares, as the list of a user's devices has them")
    user_id: str = Field(description="whose key it was barred with; a bar of several keys is listed once for each")
    user_key: str | None = Field(description="masked for those who may not see keys")
    expires_at: int | None = Field(description="Unix milliseconds; null: never")

    @classmethod
    def of(cls, bar: Bar, project_id: str, *, user_key: str | None) -> BarView:
        return cls(
            id=bar.hash.hex(),
            kind=bar.kind,
            picture=squares(_PICTURES[bar.kind], project_id, bar.hash),
            user_id=bar.user_id,
            user_key=user_key,
            expires_at=bar.expires_at,
        )


class BarsReply(Success):
    bars: list[BarView]


class LiftBars(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"bars": ["9f" * 32]}]})

    bars: Annotated[list[DeviceId], Field(min_length=1, max_length=MOST_LIFTED, description="their `id`s")]


class LiftedReply(Success):
    lifted: int = Field(description="how many of them were kept out", examples=[1])


@router.get("/projects/{project_id}/bars", summary="List a project's bars", openapi_extra=needs(Permission.KEYS_READ))
async def list_bars(project: OwnedProject, page: Annotated[PageQuery, Query()], call: CurrentReading) -> BarsReply:
    """A page of the devices and networks that are kept out, in an order of their own."""
    found = await bars.list_of_project(
        call.backend.database, project.id, now=call.backend.clock(), offset=page.offset, limit=page.size
    )
    keys = await call.keys_of(project.id, [bar.user_id for bar in found])
    return BarsReply(bars=[BarView.of(each, project.id, user_key=keys.get(each.user_id)) for each in found])


@router.post(
    "/projects/{project_id}/bars/lift",
    summary="Lift bars",
    responses=refusing(ACCOUNT_EXPIRED),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def lift_bars(
    project: OwnedProject, lift: Annotated[LiftBars, Depends(JsonBody(LiftBars))], call: CurrentCall
) -> LiftedReply:
    """Let devices and networks in again, with whichever keys they were barred. The keys stay blacklisted."""
    hashes = [bytes.fromhex(each) for each in dict.fromkeys(lift.bars)]
    return await call.change(
        lambda change: operations.lift(change, project.id, hashes), lambda lifted: LiftedReply(lifted=lifted)
    )
