"""Whose copy a leaked text is."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from pydantic import ConfigDict, Field

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.tracing import Suspect
from moonlatch.management.backend import backend_of
from moonlatch.management.body import JsonBody
from moonlatch.management.builds import BuildNumber
from moonlatch.management.call import CurrentCall
from moonlatch.management.fields import Clean, Closed
from moonlatch.management.owned import OwnedScript
from moonlatch.management.refusals import DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import tracing
from moonlatch.operations.refusals import Reason
from moonlatch.operations.tracing import MOST_BYTES, Trace
from moonlatch.storage.user_keys import key_of

router = resource_router("scripts")

NOT_MARKED = DocumentedError(1, Reason.NOT_MARKED, 409)
NOT_READ = DocumentedError(2, Reason.NOT_READ, 422)
NOT_TRACED = DocumentedError(3, Reason.NOT_TRACED, 422, {"hint": "the script took longer than the 60 s it may take"})

# JSON writes the worst characters of a file (two bytes in UTF-8) as six bytes.
_MOST_BODY_BYTES = 3 * MOST_BYTES + 64 * 1024


def _body_limit(request: Request) -> int:
    return min(backend_of(request).max_body_bytes, _MOST_BODY_BYTES)


class TraceScript(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"file": "local a = 1 ..."}]})

    file: Annotated[
        str,
        Field(min_length=1, max_length=MOST_BYTES, description="the leaked text, or a run key in hexadecimal"),
        Clean,
    ]
    build: Annotated[BuildNumber | None, Field(description="of which build it is, if that is known")] = None


class SuspectView(Reply):
    """A key whose copy may have been leaked."""

    model_config = example(user_id="USER_ID", user_key="USER_KEY", score=812.4, chance=1e-12, named=True)

    user_id: str
    user_key: str | None = Field(description="null for a user who was removed meanwhile")
    score: float = Field(description="how much its copies agree with what was read; around 0 for who is innocent")
    chance: float = Field(description="at most so probable is it that any innocent key of the project scores as much")
    named: bool = Field(description="the chance is at most one in a million")


class TraceReply(Success):
    build: Annotated[
        int | None, Field(description="of which it probably is; null where only a run key was found", examples=[3])
    ]
    places: Annotated[int, Field(description="that its copies have", examples=[1_408])]
    read: Annotated[int, Field(description="places that could be told", examples=[1_212])]
    keys: Annotated[int, Field(description="that were scored: all of the project", examples=[10_000])]
    suspects: Annotated[list[SuspectView], Field(description="the 20 with the highest scores, highest first")]
    run_keys: Annotated[
        list[SuspectView],
        Field(description="whose run keys the file may hold; the score is how many of the 8 words are that key's"),
    ]


@router.post(
    "/scripts/{script_id}/trace",
    summary="Find out whose copy was leaked",
    responses=refusing(NOT_MARKED, NOT_READ, NOT_TRACED),
    openapi_extra=needs(Permission.KEYS_REVEAL),
)
async def trace_script(
    script: OwnedScript,
    leak: Annotated[TraceScript, Depends(JsonBody(TraceScript, limit=_body_limit))],
    call: CurrentCall,
) -> TraceReply:
    """Hold a leaked text against the script's marked builds and every key of its project, and look for a run key in it. It is evidence,
    and changes nothing but that an event is left: whom to blacklist is for you to decide.
    """
    keyring = call.backend.keyring

    def suspect(one: Suspect, found: Trace) -> SuspectView:
        return SuspectView(
            user_id=one.holder,
            user_key=key_of(keyring, found.users[one.holder]) if one.holder in found.users else None,
            score=round(one.score, 1),
            chance=one.chance,
            named=one.is_named,
        )

    def shown(found: Trace) -> TraceReply:
        return TraceReply(
            build=found.build,
            places=found.places,
            read=found.read,
            keys=found.keys,
            suspects=[suspect(one, found) for one in found.suspects],
            run_keys=[suspect(one, found) for one in found.run_keys],
        )

    return await call.carry_out(
        lambda intent: tracing.trace(call.world, call.actor, script, leak.file, build=leak.build, intent=intent),
        shown,
    )
