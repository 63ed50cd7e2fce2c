"""The log: two formats, the id of the request a line belongs to, and a bound on what is said again and again.

Lines hold no key, token, payload or address. What an exception of another library says may quote such values, so only its
kind and its place are written down.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections import OrderedDict
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that is being answered here; every line logged meanwhile carries it."""

Style = Literal["text", "json"]

SAME_LINES = 10
SAME_LINES_SECONDS = 10.0
_MAX_MESSAGES = 500


def fields(**values: Any) -> dict[str, Any]:
    """The `extra` of a log call: named values beside the message, each a field of its own in JSON."""
    return {"fields": values}


def every(extra: dict[str, Any]) -> dict[str, Any]:
    """An `extra` for lines that are records of something, none of which may be left out."""
    return {**extra, "every": True}


def log_to_standard_error(level: str, style: Style) -> None:
    """Set the root logger up: `level` and above, one line each (with `text`, failures have their places below)."""
    logging.basicConfig(level=level.upper(), handlers=[BoundedHandler(sys.stderr, style)], force=True)
    # The server's own messages about starting and every connection say nothing that ours do not.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
    # An HTTP client's would tell of requests to services, which carry other people's keys.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        words = [self.formatTime(record), record.levelname, record.name, record.getMessage()]
        line = " ".join([*words, *(f"{name}={value}" for name, value in _fields_of(record).items())])
        # Not the base class's text of the failure: it has the exception's words.
        return f"{line}\n{describe(record.exc_info[1])}" if record.exc_info and record.exc_info[1] else line


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields_of(record),
        }
        if record.exc_info and record.exc_info[1]:
            line["failure"] = describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    values = dict(getattr(record, "fields", {}))
    current = request_id.get()
    if current is not None:
        values["request_id"] = current
    return values


def describe(error: BaseException) -> str:
    """An exception and those that led to it: the kind and place of each, and the words of our own ones."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        kind = type(current)
        said = f": {current}" if kind.__module__.partition(".")[0] == "moonlatch" else ""
        frames = "".join(traceback.format_tb(current.__traceback__))
        lines.insert(0, f"{frames}{kind.__qualname__}{said}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\nwhich led to\n".join(lines)


class BoundedHandler(logging.StreamHandler[Any]):
    """Writes a message at most `SAME_LINES` times in `SAME_LINES_SECONDS`, and then how often it was left out."""

    def __init__(self, stream: Any, style: Style) -> None:
        super().__init__(stream)
        self.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
        self._windows: OrderedDict[tuple[str, int, str], _Window] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        self._close_windows(record.created)
        if getattr(record, "every", False) or self._admits(record):
            super().emit(record)

    def close(self) -> None:
        self._close_windows(float("inf"))
        super().close()

    def _admits(self, record: logging.LogRecord) -> bool:
        # By the message before its values are put in: a storm says the same about many.
        key = (record.name, record.levelno, str(record.msg))
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= _MAX_MESSAGES:
                self._close_windows(next(iter(self._windows.values())).ends)
            window = self._windows[key] = _Window(record, record.created + SAME_LINES_SECONDS)
        window.lines += 1
        return window.lines <= SAME_LINES

    def _close_windows(self, now: float) -> None:
        """Say what the windows that have ended left out; they ended in the order in which they were opened."""
        while self._windows and (window := next(iter(self._windows.values()))).ends <= now:
            self._windows.popitem(last=False)
            if window.lines > SAME_LINES:
                super().emit(window.summary())


class _Window:
    """How often one message came since its first time."""

    __slots__ = ("ends", "first", "lines")

    def __init__(self, first: logging.LogRecord, ends: float) -> None:
        self.first = first
        self.ends = ends
        self.lines = 0

    def summary(self) -> logging.LogRecord:
        left_out = self.lines - SAME_LINES
        text = f"{left_out} more lines like this were left out: {self.first.msg}"
        summary = logging.LogRecord(self.first.name, self.first.levelno, "", 0, text, None, None)
        summary.created = min(self.ends, self.first.created + SAME_LINES_SECONDS)
        return summary
