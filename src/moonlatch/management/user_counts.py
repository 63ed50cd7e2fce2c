"""How many users of a project there are in each state, in one call: a page that shows them all asks once."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from moonlatch.licensing.roles import Permission
from moonlatch.management.auth import OwnedProject
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.user_filters import STATES
from moonlatch.storage.user_lists import MAX_COUNTED, UserFilter, count_of_project

router = resource_router("users")


class CountView(Reply):
    """How many users there are in a state."""

    model_config = example(users=412, is_exact=True)

    users: int
    is_exact: bool = Field(description=f"false: there are more; {MAX_COUNTED:,} of a state are counted")


class CountsReply(Success):
    counts: Annotated[
        dict[str, CountView], Field(description="by `state`", examples=[{"active": {"users": 412, "is_exact": True}}])
    ]


@router.get(
    "/projects/{project_id}/users/counts",
    summary="Count a project's users by state",
    openapi_extra=needs(Permission.KEYS_READ),
)
async def count_users(project: OwnedProject, backend: CurrentBackend) -> CountsReply:
    """How many are in each `state` of the list, up to 10,000. Somebody may be in two: on hold and blacklisted."""
    now = backend.clock()
    totals = await asyncio.gather(
        *(
            count_of_project(backend.database, backend.keyring, project.id, UserFilter(**conditions), now=now)
            for conditions in STATES.values()
        )
    )
    return CountsReply(
        counts={
            state: CountView(users=total.users, is_exact=total.is_exact)
            for state, total in zip(STATES, totals, strict=True)
        }
    )
