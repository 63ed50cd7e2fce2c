"""One worker as a process: `python -m moonlatch.builds.fork_server MEMORY_MIB PARENT_PID`. Jobs come on standard input, answers go out.

It has everything loaded and forks a child for each job, which gives up whatever it can reach, does that job and ends: a script that
takes one over sees nothing of those before and after. So nothing of a job or an answer may stay in this process, whose memory
each child inherits; it parses neither, and dies with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from moonlatch.builds.confinement import confine, confine_parent, leave_root
from moonlatch.builds.job import LENGTH_BYTES, frame, frame_length, job_of
from moonlatch.builds.worker import answer_to, import_everything

_NICENESS = 10
_MEBIBYTE = 1024 * 1024
_PASSED_ON_BYTES = 64 * 1024
_PR_SET_PDEATHSIG = 1


def main() -> None:
    memory_mib, parent = int(sys.argv[1]), int(sys.argv[2])
    jobs, answers = 0, _take_answers()
    _limit_self(memory_mib)
    import_everything()
    other_user = leave_root()
    _die_with(parent)  # a process that changes its user is no longer told of its parent's death
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then closes its workers
    confine_parent()
    # What is here now is in every child; a collection there would have all of it copied.
    gc.collect()
    gc.freeze()
    passed_on = bytearray(_PASSED_ON_BYTES)

    def confined() -> Any:
        os.close(jobs)
        return confine(other_user=other_user)

    def job_done(length: int) -> Any:
        body = _read(jobs, length)
        confined()
        return answer_to(job_of(body), memory_mib)

    _have_done(confined, answers, passed_on)
    while head := _read(jobs, LENGTH_BYTES):
        length = frame_length(head)
        _have_done(partial(job_done, length), answers, passed_on)


def _have_done(work: Callable[[], Any], answers: int, passed_on: bytearray) -> None:
    """Pass on what a child's work gives, as one frame. Ends this process as the child ended, where it gave none."""
    given, giving = os.pipe()
    child = _forked(work, giving, (given, answers))
    os.close(giving)
    is_whole = _pass_on(given, answers, memoryview(passed_on))
    os.close(given)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)  # it may want to stay
    _, status = os.waitpid(child, 0)
    if not is_whole:
        _end_like(status)


def _forked(work: Callable[[], Any], giving: int, others: tuple[int, ...]) -> int:
    """Id of a child that does the work, writes what that gives, and ends."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        for each in others:
            os.close(each)
        _die_with(parent)
        _write(giving, memoryview(frame(work())))
        status = 0
    finally:
        os._exit(status)


def _pass_on(given: int, answers: int, buffer: memoryview) -> bool:
    """Return whether there was a whole frame; where there was not, some of it may have been passed on."""
    head = _read(given, LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return False
    left = frame_length(head)
    _write(answers, memoryview(head))
    while left and (taken := os.readv(given, [buffer[:left]])):
        _write(answers, buffer[:taken])
        left -= taken
    buffer[:] = bytes(len(buffer))  # for the next child to find
    return left == 0


def _end_like(status: int) -> NoReturn:
    """So that the server is told what became of the child."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    sys.exit(os.waitstatus_to_exitcode(status) or 1)


def _read(file: int, length: int) -> bytes:
    """So many bytes, or fewer where there are no more."""
    parts: list[bytes] = []
    while length and (part := os.read(file, min(length, _MEBIBYTE))):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _write(file: int, view: memoryview) -> None:
    while view:
        view = view[os.write(file, view) :]


def _take_answers() -> int:
    """Standard output as our own; a stray print goes to standard error and cannot break an answer."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the server is gone already")


def _limit_self(memory_mib: int) -> None:
    # Ctrl-C at a terminal is for the server alone. A session of its own would do that too, but Linux shares processors out between
    # sessions first (autogroup, sched(7)): then a worker's niceness is worth nothing beside the server.
    os.setpgid(0, 0)
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit but does not let it be set
        resource.setrlimit(resource.RLIMIT_AS, (memory_mib * _MEBIBYTE, memory_mib * _MEBIBYTE))


if __name__ == "__main__":
    main()
