"""Runs the same work in several child processes: replaces one that dies, passes on the word to stop, and ends when all have.

It knows nothing of the work, and has no threads and no event loop: children are forked from it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from moonlatch.clock import monotonic_seconds

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
"""A child that dies again and again is replaced after twice the pause each time, up to this."""

STABLE_SECONDS = 60.0
"""A child that lived so long starts with the first pause again."""

_STOPS = {signal.SIGTERM, signal.SIGINT}
_SIGNALS = {*_STOPS, signal.SIGCHLD}
_READY = b"+"
_FAILED = b"-"
_MAX_REASON_BYTES = 4_000

logger = logging.getLogger(__name__)


class ChildFailedError(Exception):
    """A child ended before it was ready; the message is its reason."""


@dataclass(slots=True)
class Child:
    """A child's own end: which place it takes, and how it knows that the parent is gone."""

    number: int
    is_first: bool
    """Whether nobody had its place before."""
    parent_end: int
    """A file descriptor that becomes readable when the parent has ended, however that was."""
    _report: int

    def ready(self) -> None:
        """Say that the work has begun: from now on it is worth beginning again."""
        os.write(self._report, _READY)


@dataclass(slots=True)
class _Place:
    """What the parent knows of one child, or of the one to come."""

    number: int
    pid: int = 0
    report: int = -1
    started_at: float = 0.0
    starts: int = 0
    pause_seconds: float = FIRST_PAUSE_SECONDS
    due_at: float | None = 0.0
    """When to start it; None while it runs."""


class Supervisor:
    """`run` forks `children` processes that each call `work`, and returns when SIGTERM or SIGINT has ended them.

    The first of these signals is passed on once `stopping` has been called, and so is each further one; what then has not
    ended after `stop_seconds` is killed.
    """

    def __init__(
        self,
        work: Callable[[Child], None],
        children: int,
        *,
        stop_seconds: float,
        stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._places = [_Place(number) for number in range(children)]
        self._stop_seconds = stop_seconds
        self._stopping = stopping
        self._give_up_at: float | None = None
        self._failure: str | None = None
        self._life: tuple[int, int] = (-1, -1)

    def run(self) -> None:
        """Raises ChildFailedError when a child could not even begin; the others are stopped then."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._life = os.pipe()
        try:
            while self._give_up_at is None or any(place.pid for place in self._places):
                self._start_due()
                self._heed(signal.sigtimedwait(_SIGNALS, self._seconds_to_wait()))
        finally:
            for end in self._life:
                os.close(end)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self._failure is not None:
            raise ChildFailedError(self._failure)

    def _start_due(self) -> None:
        for place in self._places:
            if self._give_up_at is None and place.due_at is not None and place.due_at <= monotonic_seconds():
                self._start(place)

    def _seconds_to_wait(self) -> float:
        times = [place.due_at for place in self._places if place.due_at is not None and self._give_up_at is None]
        if self._give_up_at is not None:
            times.append(self._give_up_at)
        return max(0.0, min(times, default=monotonic_seconds() + 3_600) - monotonic_seconds())

    def _heed(self, heard: signal.struct_siginfo | None) -> None:
        if heard is not None and heard.si_signo in _STOPS:
            self._stop()
        # One SIGCHLD may stand for several children.
        for place in self._places:
            if place.pid and os.waitpid(place.pid, os.WNOHANG)[0]:
                self._bury(place)
        if self._give_up_at is not None and monotonic_seconds() >= self._give_up_at:
            self._signal_all(signal.SIGKILL)
            self._give_up_at += self._stop_seconds

    def _stop(self) -> None:
        if self._give_up_at is None:
            self._give_up_at = monotonic_seconds() + self._stop_seconds
            self._stopping()
        self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(place.pid, number)

    def _bury(self, place: _Place) -> None:
        said = os.read(place.report, _MAX_REASON_BYTES) if place.report >= 0 else b""
        os.close(place.report)
        pid, place.pid, place.report = place.pid, 0, -1
        if self._give_up_at is not None:
            return
        if not said.startswith(_READY) and place.starts == 1:
            self._failure = said.removeprefix(_FAILED).decode(errors="replace") or "a process ended at its start"
            self._stop()
            return
        now = monotonic_seconds()
        if now - place.started_at >= STABLE_SECONDS:
            place.pause_seconds = FIRST_PAUSE_SECONDS
        logger.error("process %d ended unexpectedly; another starts in %g s", pid, place.pause_seconds)
        place.due_at = now + place.pause_seconds
        place.pause_seconds = min(2 * place.pause_seconds, LONGEST_PAUSE_SECONDS)

    def _start(self, place: _Place) -> None:
        place.starts += 1
        place.started_at, place.due_at = monotonic_seconds(), None
        place.report, report = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        pid = os.fork()
        if pid:
            os.close(report)
            place.pid = pid
            return
        self._become(Child(place.number, place.starts == 1, self._life[0], report))

    def _become(self, child: Child) -> NoReturn:
        status = 1
        try:
            # Its own group: Ctrl-C in a terminal is for the parent alone, who passes it on once.
            os.setpgid(0, 0)
            os.close(self._life[1])
            for place in self._places:
                if place.report >= 0:
                    os.close(place.report)
            for number in _STOPS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._work(child)
            status = 0
        except Exception as error:
            os.write(child._report, _FAILED + str(error).encode()[: _MAX_REASON_BYTES - 1])  # noqa: SLF001
            if not child.is_first:
                traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
