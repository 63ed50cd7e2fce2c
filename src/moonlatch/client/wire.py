"""The client's messages: their exact shape and nothing more. What does not fit raises `MalformedError`; nothing is decided here."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from moonlatch.licensing.crashes import MAX_MESSAGE_CHARACTERS
from moonlatch.licensing.remotes import RemoteKind
from moonlatch.licensing.server_variables import NAME
from moonlatch.web.bounds import MAX_FRAME_BYTES

_MAX_EXACT_INTEGER = 2**53
_ESCAPED_NUL = b"\\u0000"

Id = Annotated[str, Meta(max_length=64)]
Nonce = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9]{32,64}\Z")]
Key = Annotated[str, Meta(max_length=128)]
Fingerprint = Annotated[str, Meta(max_length=512)]
ExecutorName = Annotated[str, Meta(max_length=64)]
JobId = Annotated[str, Meta(max_length=128)]
PlatformId = Annotated[int, Meta(ge=0, le=_MAX_EXACT_INTEGER)]
Token = Annotated[str, Meta(max_length=1024)]
Share = Annotated[str, Meta(min_length=64, max_length=64)]
Build = Annotated[int, Meta(ge=1, le=_MAX_EXACT_INTEGER)]
VariableName = Annotated[str, Meta(pattern=rf"\A{NAME}\Z")]
Mac = Annotated[str, Meta(min_length=64, max_length=64)]
SpotNumber = Annotated[int, Meta(ge=0, le=10**9)]
Sequence = Annotated[int, Meta(ge=1, le=_MAX_EXACT_INTEGER)]


class MalformedError(ValueError):
    """A message that is not as the protocol describes; says what is wrong with it, without the values."""


class Execute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Asks to start a script."""

    script_id: Id
    loader: Id
    protocol: Literal[1, 2]
    nonce: Annotated[str, Meta(min_length=32, max_length=64)]
    key: Key | None
    fingerprint: Fingerprint | None
    executor: ExecutorName | None
    roblox_id: PlatformId | None
    place_id: PlatformId | None
    job_id: JobId | None
    supports_sessions: bool
    keeps_leases: bool = False
    build: Build | None = None
    """That of a copy which runs already, by a lease."""
    reports: bool = False
    """It tells of errors, if the script's owner wants to know."""
    hooked: bool = False
    """The host's functions were replaced, as far as the loader noticed."""


class CheckKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Asks whether a key is good for a script, on a device if it is told."""

    script_id: Id
    key: Key
    fingerprint: Fingerprint | None = None


class Heartbeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Asks whether an instance may go on."""

    instance: Id
    token: Token
    sequence: Sequence
    share: Share | None = None


class ReadVariable(Heartbeat, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """Asks whether an instance may go on, and for a server variable."""

    name: VariableName


class CallRemote(Heartbeat, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """Asks whether an instance may go on, and has a remote called with `data`, which stays as it came: `mac` is of these bytes."""

    kind: RemoteKind
    name: VariableName
    data: msgspec.Raw
    mac: Mac


class ReportedError(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An error that nobody caught, or one that the script gives: where in the protected text, and how long after the start."""

    message: Annotated[str, Meta(max_length=MAX_MESSAGE_CHARACTERS)]
    kind: Literal["main", "thread", "handler", "reported"]
    line: SpotNumber | None = None
    column: SpotNumber | None = None
    instruction: SpotNumber | None = None
    executor: ExecutorName | None = None
    seconds: Annotated[int, Meta(ge=0, le=_MAX_EXACT_INTEGER)] = 0


class Report(Heartbeat, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """Tells of an error, or how the start went: half a minute after it there was none, or there was."""

    health: Literal["ok", "error"] | None = None
    error: ReportedError | None = None


class Open(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="open"):
    """A session's first frame."""

    instance: Id
    token: Token
    nonce: Nonce
    share: Share | None = None


class MessageReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="reply"):
    """What became of a message: `data` when it returned, undecoded until somebody wants it; `message` when it errored."""

    id: int
    status: Literal["returned", "errored", "invalid", "missing"]
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if (self.data is not msgspec.UNSET) != (self.status == "returned"):
            raise ValueError("`data` belongs to the status `returned`")
        if (self.message is not msgspec.UNSET) != (self.status == "errored"):
            raise ValueError("`message` belongs to the status `errored`")


class Ping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ping"):
    """Keeps a host's connection busy."""


_execute = msgspec.json.Decoder(Execute)
_check_key = msgspec.json.Decoder(CheckKey)
_heartbeat = msgspec.json.Decoder(Heartbeat)
_read_variable = msgspec.json.Decoder(ReadVariable)
_call_remote = msgspec.json.Decoder(CallRemote)
_report = msgspec.json.Decoder(Report)
_frame: msgspec.json.Decoder[Open | MessageReply | Ping] = msgspec.json.Decoder(Open | MessageReply | Ping)

T = TypeVar("T")


def decode_execute(body: bytes) -> Execute:
    """Raises MalformedError."""
    request = _decode(_execute, body)
    # As `Nonce` says it; a pattern takes as long as all the rest of the decoding.
    if not (request.nonce.isascii() and request.nonce.isalnum()):
        raise MalformedError("Expected `str` of letters and digits - at `$.nonce`")
    # With `in`, bytes try first whether they are asked for a number.
    if body.find(_ESCAPED_NUL) >= 0 and any("\0" in text for text in _texts(request)):
        raise MalformedError("a text contains a NUL character")
    return request


def decode_check_key(body: bytes) -> CheckKey:
    """Raises MalformedError."""
    request = _decode(_check_key, body)
    if "\0" in request.script_id:
        raise MalformedError("a text contains a NUL character")
    return request


def decode_heartbeat(body: bytes) -> Heartbeat:
    """Raises MalformedError."""
    return _decode(_heartbeat, body)


def decode_read_variable(body: bytes) -> ReadVariable:
    """Raises MalformedError."""
    return _decode(_read_variable, body)


def decode_call_remote(body: bytes) -> CallRemote:
    """Raises MalformedError."""
    return _decode(_call_remote, body)


def decode_report(body: bytes) -> Report:
    """Raises MalformedError, also for one that tells nothing."""
    request = _decode(_report, body)
    if request.health is None and request.error is None:
        raise MalformedError("a report tells of an error, or how the start went")
    told = request.error
    if told is not None and ("\0" in told.message or "\0" in (told.executor or "")):
        raise MalformedError("a text contains a NUL character")
    return request


def decode_frame(text: str, most_bytes: int = MAX_FRAME_BYTES) -> Open | MessageReply | Ping:
    """Raises MalformedError, also for a frame that is too large."""
    if len(text) > most_bytes:
        raise MalformedError("the frame is too large")
    return _decode(_frame, text)


def _decode(decoder: msgspec.json.Decoder[T], content: bytes | str) -> T:
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        raise MalformedError(str(error)) from None
    except (ValueError, RecursionError):  # what is not JSON, not UTF-8, or nested without end
        raise MalformedError("the message is not valid JSON") from None


def _texts(request: Execute) -> list[str]:
    fields = (request.script_id, request.loader, request.key, request.fingerprint, request.executor, request.job_id)
    return [text for text in fields if text is not None]
