"""What the server asks of a worker process and what that answers, and how both are framed on a pipe. No I/O here."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from moonlatch.builds.confinement import Confinement
from moonlatch.obfuscator.options import PROFILES

MAX_FRAME_BYTES = 256 * 1024 * 1024
_LENGTH = struct.Struct(">I")
LENGTH_BYTES = _LENGTH.size


class Job(msgspec.Struct, frozen=True, kw_only=True, tag="protect"):
    """One text to check and protect. `profile`, `target`, `client_chunk` and `keeps_macros` are the protector's options;
    without a target the text runs wherever the source does.
    """

    source: bytes
    profile: str
    target: str | None
    client_chunk: bool
    keeps_macros: bool = False
    has_marks: bool = False
    seed: int


class Check(msgspec.Struct, frozen=True, kw_only=True, tag="check"):
    """A text that another engine made: is it a script at all? The answer does not repeat it."""

    text: bytes


class Draft(msgspec.Struct, frozen=True, kw_only=True, tag="draft"):
    """A script that somebody is writing: what would an update of it be refused for? The options are those of a `Job`;
    the answer has warnings and no text.
    """

    source: bytes
    profile: str
    target: str | None
    keeps_macros: bool


class ReadLeak(msgspec.Struct, frozen=True, kw_only=True, tag="read"):
    """A text that was leaked: which spelling has each place of this template, as `Template.to_bytes` has it, in it?"""

    template: bytes
    leaked: bytes


class ScoreHolders(msgspec.Struct, frozen=True, kw_only=True, tag="score"):
    """Whose words agree most with what was read? `secret` is the build's; of the scores the `most` highest are wanted."""

    secret: bytes
    read: list[int | None]
    holders: list[str]
    most: int


class FindRunKeys(msgspec.Struct, frozen=True, kw_only=True, tag="find"):
    """A text that was leaked: what may be a run key in it?"""

    leaked: bytes


class MatchRunKeys(msgspec.Struct, frozen=True, kw_only=True, tag="match"):
    """Whose run keys are these? `secret` is the script's; the `most` who have most words of one of them are wanted, of those who have any."""

    secret: bytes
    keys: list[bytes]
    holders: list[str]
    most: int


TraceTask = ReadLeak | ScoreHolders | FindRunKeys | MatchRunKeys
Task = Job | Check | Draft | TraceTask
"""What a worker may be asked."""


TEMPLATE = "template"
"""What a fault blames for a build's template that is none."""


class Fault(msgspec.Struct, frozen=True):
    """Why protecting failed; `param` names the input it blames, None when it blames none."""

    param: str | None
    message: str


class Readable(msgspec.Struct, frozen=True):
    """A function whose speed was kept in a build for a machine: its line and name, and whether that is `all` of it, its `loops`, or `native` code."""

    line: int
    name: str
    part: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The protected text, the language it is written in, and from where in the source its lines come, as `LineMap.to_bytes` has it.

    `lock` is that of its run keys, as `Lock.to_bytes` has it, empty for a text that needs none.
    For a text with marks also its template, as `Template.to_bytes` has it, and how many places that has.
    """

    text: bytes
    warnings: list[str]
    readable: list[Readable] = []
    target: str = ""
    line_map: bytes = b""
    lock: bytes = b""
    template: bytes = b""
    places: int = 0


MOST_FAULT_CHARACTERS = 400
"""Of one fault in a message: a token that it quotes may be as long as its script."""


class Invalid(msgspec.Struct, frozen=True, kw_only=True, tag="invalid"):
    """The script is not valid Luau; `parser_output` is what Luau would print for it, `hint` why it is refused as a whole."""

    parser_output: str
    hint: str = ""

    @property
    def first_fault(self) -> str:
        """The first line of it, as far as it fits into a message."""
        return self.parser_output.partition("\n")[0][:MOST_FAULT_CHARACTERS]


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """There is no protected text though the script may be fine."""

    faults: list[Fault]


class LeakRead(msgspec.Struct, frozen=True, kw_only=True, tag="leak"):
    """Of each place 0 or 1, None where it cannot be told."""

    read: list[int | None]


class Scored(msgspec.Struct, frozen=True, kw_only=True, tag="scored"):
    """The highest scores, or numbers of words, and whose they are."""

    best: list[tuple[float, str]]


class RunKeysFound(msgspec.Struct, frozen=True, kw_only=True, tag="keys"):
    """What looks like one."""

    keys: list[bytes]


WorkerAnswer = Done | Invalid | Failed
TraceAnswer = LeakRead | Scored | RunKeysFound | Invalid | Failed


def past_limit(job: Task, problem: str, setting: str) -> Failed:
    """The answer for a text that is too much for a worker: what it passed, and what its author can do about it."""
    if isinstance(job, TraceTask):
        return Failed(faults=[Fault("file", f"{problem}, to be traced")])
    if isinstance(job, Draft):
        return Failed(faults=[Fault("script", f"{problem}, to be looked through while it is written")])
    names = list(PROFILES)
    plainer = names[: names.index(job.profile)][-1:] if isinstance(job, Job) else []
    ways = ["divide the script", *(f"choose the profile '{name}'" for name in plainer)]
    return Failed(faults=[Fault("script", f"{problem}; {', '.join(ways)} or have {setting} raised")])


_decode_job = msgspec.msgpack.Decoder(Task).decode
_decode_answer = msgspec.msgpack.Decoder(WorkerAnswer | TraceAnswer).decode
_decode_ready = msgspec.msgpack.Decoder(Confinement).decode
_encode = msgspec.msgpack.Encoder().encode


def frame(message: Any) -> bytes:
    """A message as it goes over the pipe: its length in 4 bytes, then MessagePack."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def frame_length(head: bytes) -> int:
    """Length of the body that follows. Raises ValueError when it cannot be right."""
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {length} bytes")
    return int(length)


def ready_of(body: bytes) -> Confinement:
    """What a worker says first, before any job. Raises msgspec.MsgspecError for anything else."""
    return _decode_ready(body)


def job_of(body: bytes) -> Task:
    job: Task = _decode_job(body)
    return job


def answer_of(body: bytes) -> WorkerAnswer | TraceAnswer:
    """Raises msgspec.MsgspecError for anything that is not an answer: a worker's output is not trusted."""
    answer: WorkerAnswer | TraceAnswer = _decode_answer(body)
    return answer
