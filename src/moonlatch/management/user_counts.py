"""How many users of a project there are in each state, in one call: a page that shows them all asks once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from moonlatch.licensing.roles import Permission
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.owned import OwnedProject
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.user_filters import STATES
from moonlatch.storage.user_lists import MAX_COUNTED, Total, UserFilter, count_by_state

router = resource_router("users")

_FILTERS = {state: UserFilter(**conditions) for state, conditions in STATES.items()}


class CountView(Reply):
    """How many users there are in a state."""

    model_config = example(users=412, is_exact=True)

    users: int
    is_exact: bool = Field(description=f"false: there are more; {MAX_COUNTED:,} of a state are counted")

    @classmethod
    def of(cls, total: Total) -> CountView:
        return cls(users=total.users, is_exact=total.is_exact)


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
    totals = await count_by_state(backend.database, project.id, now=backend.clock())
    return CountsReply(counts={state: CountView.of(totals[where]) for state, where in _FILTERS.items()})
