"""Session endpoints: look at an open session, end it, or call a handler in its script."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends
from pydantic import AfterValidator, ConfigDict, Field

from moonlatch.errors import not_found
from moonlatch.licensing.roles import Permission
from moonlatch.live.interface import MessageOutcome
from moonlatch.management.auth import CallerBehindBody
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import Clean, Closed, Empty, Id, Json
from moonlatch.management.identity import Caller
from moonlatch.management.owned import OwnedSession, find_owned_session
from moonlatch.management.replies import Reply, SessionView, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import sessions as operations

router = resource_router("sessions")

MAX_SESSIONS_PER_CALL = 1000
MESSAGE_TIMEOUT_SECONDS = 60.0
SESSION_NOT_FOUND = "session not found"


def _unique(ids: list[str]) -> list[str]:
    if len(set(ids)) != len(ids):
        raise ValueError("must not name a session twice")
    return ids


SessionIds = Annotated[
    list[Id],
    Field(min_length=1, max_length=MAX_SESSIONS_PER_CALL, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_unique),
]
HandlerKey = Annotated[
    str, Field(min_length=1, max_length=100, description="the handler's name, as given to la_handle"), Clean
]
Data = Annotated[Json, Field(default_factory=list, description="any JSON; what the handler gets")]


class SendMessage(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "give", "data": {"amount": 5}}]})

    key: HandlerKey
    data: Data


class SendMessages(Closed):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"session_ids": ["SESSION_ID"], "key": "give", "data": {"amount": 5}}]}
    )

    session_ids: SessionIds
    key: HandlerKey
    data: Data


class DisconnectSessions(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"session_ids": ["SESSION_ID"]}]})

    session_ids: SessionIds


class SessionReply(Success):
    session: SessionView


class MessageReply(Success):
    """`response` when the handler processed the message, otherwise `reason`."""

    model_config = example(success=True, processed=True, response={"given": 5})

    processed: bool
    response: Any = None
    reason: str | None = None


class Response(Reply):
    """What became of the message to one session."""

    model_config = example(session_id="SESSION_ID", processed=False, reason="function doesnt exist")

    session_id: str
    processed: bool
    response: Any = None
    reason: str | None = None


class MessagesReply(Success):
    responses: list[Response]


@router.get("/sessions/{session_id}", summary="Get a session", openapi_extra=needs(Permission.SESSIONS_READ))
async def get_session(session: OwnedSession, call: CurrentReading) -> SessionReply:
    """Who runs what, and where."""
    (shown,) = await call.sessions(session.project_id, [session])
    return SessionReply(session=shown)


@router.post(
    "/sessions/{session_id}/disconnect", summary="Disconnect a session", openapi_extra=needs(Permission.SESSIONS_STOP)
)
async def disconnect_session(
    session: OwnedSession, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Closes it and stops the running copy for good. One that is gone by now counts as disconnected."""
    return await call.change(lambda change: operations.disconnect(change, [session]), lambda _: Success())


@router.post(
    "/sessions/{session_id}/message",
    summary="Send a message to a session",
    response_model_exclude_unset=True,
    openapi_extra=needs(Permission.SESSIONS_MESSAGE),
)
async def send_message(
    session: OwnedSession,
    message: Annotated[SendMessage, Depends(JsonBody(SendMessage))],
    caller: CallerBehindBody,
    backend: CurrentBackend,
) -> MessageReply:
    """Calls the handler in the script and waits for its answer, at most 60 s. Not processed is a success too."""
    if not caller.actor.reaches(session.project_id):
        raise not_found("session")
    outcome = await backend.live.message(session.id, message.key, message.data, MESSAGE_TIMEOUT_SECONDS)
    return MessageReply(success=True, **_outcome(outcome))


@router.post(
    "/sessions/disconnect", summary="Disconnect several sessions", openapi_extra=needs(Permission.SESSIONS_STOP)
)
async def disconnect_sessions(
    disconnect: Annotated[DisconnectSessions, Depends(JsonBody(DisconnectSessions))], call: CurrentCall
) -> Success:
    """Sessions that are not open, or not yours, are passed over."""
    found = [await find_owned_session(call.backend, call.caller, each) for each in disconnect.session_ids]
    sessions = [session for session in found if session is not None]
    return await call.change(lambda change: operations.disconnect(change, sessions), lambda _: Success())


@router.post(
    "/sessions/message",
    summary="Send a message to several sessions",
    response_model_exclude_unset=True,
    openapi_extra=needs(Permission.SESSIONS_MESSAGE),
)
async def send_messages(
    message: Annotated[SendMessages, Depends(JsonBody(SendMessages))],
    caller: CallerBehindBody,
    backend: CurrentBackend,
) -> MessagesReply:
    """All wait together, at most 60 s; `responses` has the order of `session_ids`."""
    responses = await asyncio.gather(
        *(_send(backend, caller, session_id, message) for session_id in message.session_ids)
    )
    return MessagesReply(success=True, responses=responses)


async def _send(backend: Backend, caller: Caller, session_id: str, message: SendMessages) -> Response:
    if await find_owned_session(backend, caller, session_id) is None:
        outcome = MessageOutcome(processed=False, reason=SESSION_NOT_FOUND)
    else:
        outcome = await backend.live.message(session_id, message.key, message.data, MESSAGE_TIMEOUT_SECONDS)
    return Response(session_id=session_id, **_outcome(outcome))


def _outcome(outcome: MessageOutcome) -> dict[str, Any]:
    if outcome.processed:
        return {"processed": True, "response": outcome.response}
    return {"processed": False, "reason": outcome.reason}
