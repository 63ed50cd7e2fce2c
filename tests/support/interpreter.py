"""Processes of real interpreters that run scripts one after another, and are kept for whoever comes next.

Starting a process takes longer than most scripts run. It reads a case a line as JSON, and answers each with such a line.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterable, Mapping
from typing import Any

STATES_PER_PROCESS = 200  # not all that a state leaves behind is given back before its process ends
Command = tuple[str, ...]
Fields = dict[str, str | None]


class _Process:
    """One child process. It ends when its standard input does, so that none outlives who started it."""

    def __init__(self, command: Command) -> None:
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="ascii"
        )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._states = 0
        self.is_full = False

    def answer(self, case: Mapping[str, object], timeout_seconds: float) -> Fields | None:
        """What became of the case; None when the process died of it or was late."""
        assert self._child.stdin is not None
        self._states += 1
        try:
            self._child.stdin.write(json.dumps(case) + "\n")
            self._child.stdin.flush()
            line = self._answers.get(timeout=timeout_seconds)
        except (BrokenPipeError, queue.Empty):
            return None
        if not line:
            return None
        answer: Any = json.loads(line)
        self.is_full = answer.pop("is_full", False) or self._states == STATES_PER_PROCESS
        fields: Fields = answer
        return fields

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        self._reader.join()
        for stream in (self._child.stdin, self._child.stdout):
            try:
                assert stream is not None
                stream.close()
            except BrokenPipeError:  # half a case was still to be written
                pass

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._answers.put(line)
        self._answers.put("")


_idle: dict[Command, list[_Process]] = {}


def run_cases(command: Command, cases: Iterable[Mapping[str, object]], timeout_seconds: float) -> list[Fields | None]:
    """What the interpreter says of each case; None for one that killed it, or took longer than the time for each.

    A process that earlier calls have used is not believed to have died of this one's case: a new one is asked again.
    """
    waiting = _idle.setdefault(command, [])
    process = waiting.pop() if waiting else None
    is_new = process is None
    answers = []
    for case in cases:
        if process is None:
            process, is_new = _Process(command), True
        answer = process.answer(case, timeout_seconds)
        if answer is None and not is_new:
            process.end()
            process, is_new = _Process(command), True
            answer = process.answer(case, timeout_seconds)
        answers.append(answer)
        if answer is None or process.is_full:
            process.end()
            process = None
    if process is not None:
        waiting.append(process)
    return answers


@atexit.register
def _end_all() -> None:
    for process in (one for waiting in _idle.values() for one in waiting):
        process.end()


# A forked child would speak into its parent's conversations.
os.register_at_fork(after_in_child=_idle.clear)
