"""What a worker does with a job, in a process of the job's own: see `fork_server`.

It holds no secret and no connection, can open neither files nor sockets, and never writes anything of a script anywhere but its
answer.
"""

from __future__ import annotations

import sys
import traceback
from heapq import nlargest

from moonlatch.builds.job import (
    TEMPLATE,
    Check,
    Done,
    Draft,
    Failed,
    Fault,
    FindRunKeys,
    Invalid,
    Job,
    LeakRead,
    MatchRunKeys,
    Readable,
    ReadLeak,
    RunKeysFound,
    Scored,
    ScoreHolders,
    Task,
    TraceAnswer,
    WorkerAnswer,
    past_limit,
)
from moonlatch.crypto import KeyedStream
from moonlatch.licensing.tracing import Code
from moonlatch.obfuscator import pipeline, reading
from moonlatch.obfuscator.analysis.check import syntax_faults
from moonlatch.obfuscator.options import PROFILES, Options
from moonlatch.obfuscator.outcome import Protected, Rejected
from moonlatch.obfuscator.run_lock import KEY_BYTES, Owners, found_in
from moonlatch.obfuscator.syntax.diagnostics import LuauSyntaxError, parser_output
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.template import Template, TemplateError

MAX_PARSER_OUTPUT_CHARACTERS = 64 * 1024
MAX_WARNINGS = 100
MAX_READABLE = 500
MAX_NAME_CHARACTERS = 100
_SAMPLES = (b'local t = { ... } for i = 1, 2 do print(`{i}`, t[i], "text" .. 0.5) end', b"print(\xe2\x80\x9c")


def import_everything() -> None:
    """Have modules imported that are imported at their first use: once confined, a worker opens no files.

    Python 3.13's `random`, for one, imports its hash when a seed is first taken.
    """
    for source in _SAMPLES:
        for profile in PROFILES:
            outcome = pipeline.protect(source, Options(profile, has_marks=True), seed=1)
            if isinstance(outcome, Protected) and outcome.template is not None:
                _read(ReadLeak(template=outcome.template.to_bytes(), leaked=source))


def answer_to(job: Task, memory_mib: int) -> WorkerAnswer | TraceAnswer:
    """Do a job. Whatever goes wrong becomes an answer that names the cause."""
    try:
        return _answer_to(job)
    except MemoryError:
        problem = f"the script needs more than the {memory_mib} MiB of memory that a worker process may take"
        return past_limit(job, problem, "protector.memory_mib")
    except Exception as error:
        _report(error)
        message = f"internal error of the protector ({type(error).__name__}); the script may be fine"
        return Failed(faults=[Fault("script", message)])


def _answer_to(job: Task) -> WorkerAnswer | TraceAnswer:
    match job:
        case ReadLeak():
            return _read(job)
        case ScoreHolders():
            return _scored(job)
        case FindRunKeys():
            return RunKeysFound(keys=found_in(job.leaked))
        case MatchRunKeys():
            return _matched(job)
        case Check():
            return _checked(job)
        case Draft():
            return _looked_through(job)
        case Job():
            return _protected(job)


def _read(job: ReadLeak) -> TraceAnswer:
    try:
        return LeakRead(read=reading.read(Template.from_bytes(job.template), job.leaked))
    except LuauSyntaxError as error:
        return Invalid(parser_output=_shortened(parser_output(error.diagnostics)))
    except TemplateError as error:
        return Failed(faults=[Fault(TEMPLATE, f"the template is {error}")])


def _scored(job: ScoreHolders) -> TraceAnswer:
    trial = Code(KeyedStream(job.secret).draw, len(job.read)).trial(job.read)
    best, _ = trial.highest(job.holders, job.most)
    return Scored(best=best)


def _matched(job: MatchRunKeys) -> TraceAnswer:
    stream = KeyedStream(job.secret)
    owners = Owners(job.keys)
    found = ((owners.words_of(stream.draw(holder, KEY_BYTES)), holder) for holder in job.holders)
    return Scored(best=nlargest(job.most, ((float(words), holder) for words, holder in found if words)))


def _checked(job: Check) -> WorkerAnswer:
    """Syntax only: the compiler's limits are those of its own target, which may not be Luau."""
    faults = syntax_faults(job.text)
    return Invalid(parser_output=_shortened(parser_output(faults))) if faults else Done(text=b"", warnings=[])


def _looked_through(job: Draft) -> WorkerAnswer:
    options = Options(
        profile=job.profile,
        target=None if job.target is None else Target(job.target),
        client_chunk=True,
        keeps_macros=job.keeps_macros,
    )
    found = pipeline.warnings_or_faults(job.source, options)
    return _invalid(found) if isinstance(found, Rejected) else Done(text=b"", warnings=found[:MAX_WARNINGS])


def _protected(job: Job) -> WorkerAnswer:
    options = Options(
        profile=job.profile,
        target=None if job.target is None else Target(job.target),
        client_chunk=job.client_chunk,
        keeps_macros=job.keeps_macros,
        # Nobody is told where the loader's own errors are, and another engine changes all places again.
        has_line_map=job.client_chunk and not job.keeps_macros,
        has_marks=job.has_marks,
        needs_run_key=job.client_chunk and not job.keeps_macros,
    )
    outcome = pipeline.protect(job.source, options, job.seed)
    if isinstance(outcome, Protected):
        warnings, template = outcome.warnings[:MAX_WARNINGS], outcome.template
        return Done(
            text=outcome.text.encode("ascii"),
            warnings=warnings,
            readable=[
                Readable(one.line, one.name[:MAX_NAME_CHARACTERS], one.part) for one in outcome.readable[:MAX_READABLE]
            ],
            target=outcome.target,
            line_map=outcome.line_map.to_bytes() if job.client_chunk and outcome.line_map else b"",
            lock=b"" if outcome.lock is None else outcome.lock.to_bytes(),
            template=b"" if template is None else template.to_bytes(),
            places=0 if template is None else len(template.places),
        )
    if isinstance(outcome, Rejected):
        return _invalid(outcome)
    return Failed(faults=[Fault(error.param, error.message) for error in outcome.errors])


def _invalid(outcome: Rejected) -> Invalid:
    return Invalid(parser_output=_shortened(outcome.parser_output), hint=outcome.hint)


def _shortened(output: str) -> str:
    if len(output) <= MAX_PARSER_OUTPUT_CHARACTERS:
        return output
    cut = output[:MAX_PARSER_OUTPUT_CHARACTERS]
    # Whole lines; a fault may quote a token that is longer than all that is told.
    return cut.rpartition("\n")[0] or cut


def _report(error: Exception) -> None:
    """Where it went wrong, without the message, which may quote the script, and without lines of files, which cannot be opened."""
    walked = list(traceback.walk_tb(error.__traceback__))[-8:]
    places = [f"{frame.f_code.co_filename}:{line}" for frame, line in walked]
    print(f"protector failed: {type(error).__name__} at {' < '.join(reversed(places))}", file=sys.stderr, flush=True)  # noqa: T201
