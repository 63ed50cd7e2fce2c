"""Runs Lua text, or a script's loader the way a user starts it, in a real interpreter in a process of its own with real HTTP and WebSockets."""

from __future__ import annotations

import json
import re
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from moonlatch.client.loader_source import lua_string
from support.lua_host.processes import STOPPING_SECONDS, Host, lua_host, luau_host

PATIENCE_SECONDS = 60.0
"""Before something is taken for what will not happen any more: on a busy machine an interpreter alone may take 20 s to start."""
NO_FILES = Path("/nowhere")
ENGINES = {
    "luau": "",
    "lua51": "lua51",
    "lua52": "lua52",
    "lua53": "lua53",
    "lua54": "lua54",
    "luajit": "luajit21",
}
"""Names of the interpreters, and lupa's name for those that it carries."""

USER_SCRIPT = """
script_key = %s
return assert(loadstring(http_get("%s"), "=loader"))(...)
"""

ELSEWHERE = """
for _, name in ipairs({ "request", "websocket" }) do
  local real = moonlatch_host[name]
  moonlatch_host[name] = function(...)
    local arguments = { ... }
    for i = 1, select("#", ...) do
      if type(arguments[i]) == "string" then
        arguments[i] = string.gsub(arguments[i], "^(%%a+)://%s", "%%1://%s")
      end
    end
    return real((table.unpack or unpack)(arguments, 1, select("#", ...)))
  end
end
"""
"""What a name server would do: a host name, as a pattern, leads to an address and port."""


@dataclass(frozen=True)
class Happened:
    """One thing a run did.

    `event` is `print`, `kicked`, `raised` (the script failed), `thread_error` (a background thread failed), `returned`
    (the script ended; its values as text) or `finished` (nothing will happen any more).
    """

    event: str
    text: str


class LuaRun:
    """A Lua text running in another process; a context manager that ends it.

    The text finds a `moonlatch_host` as `docs/reference/host-table.md` describes it, and the functions `http_get(url)`,
    `loadstring`, `print`, `sleep(seconds)`, `thread(function)` and `seconds()`. `settings` are the host's plain values
    (`fingerprint`, `executor`, `player`, `place`, `job`, `clock_rate`) and what it lacks: `websocket`, `threads` or `kick` = `no`.
    `keeps` = `yes` lets it keep texts in the folder `files`, `http` = `no` takes its requests away, `days_ahead` sets its `os.time`.
    Its clock and its timers run `time_rate` times as fast as real ones; `clock_rate` makes the clock faster than the timers.
    `is_optimised` is for Luau alone; see `node_command`.
    """

    def __init__(
        self,
        text: str | bytes,
        *arguments: str,
        engine: str = "luau",
        settings: dict[str, str] | None = None,
        time_rate: float = 1,
        is_optimised: bool = False,
        files: Path | None = None,
    ) -> None:
        source = text if isinstance(text, bytes) else text.encode()
        # Without a clock of the host's a loader looks at the system's, which does not run faster.
        settings = {**({} if time_rate == 1 else {"clock_rate": "1"}), **(settings or {})}
        options = "".join(f"{name}={_escape(value.encode())};" for name, value in settings.items())
        record = " ".join(
            _escape(field) for field in (b"start", source, options.encode(), *(a.encode() for a in arguments))
        )
        self._start = tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".start")  # noqa: SIM115 (closed in stop)
        self._start.write(record)
        self._start.flush()
        self._happened: list[Happened] = []
        self._news = threading.Condition()
        self._host = _host(engine, Path(self._start.name), time_rate, files or NO_FILES, is_optimised=is_optimised)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it at once, like a user who closes the game."""
        self._host.ask_to_stop()
        self._reader.join(STOPPING_SECONDS)
        if self._reader.is_alive():
            self._host.kill()
            self._reader.join()
        self._start.close()

    @property
    def happened(self) -> list[Happened]:
        """Everything so far, in order."""
        with self._news:
            return list(self._happened)

    @property
    def lines(self) -> list[str]:
        """What was printed so far."""
        return self._texts("print")

    @property
    def kicked(self) -> str | None:
        """The reason of the first kick so far."""
        return next(iter(self._texts("kicked")), None)

    @property
    def raised(self) -> str | None:
        """The message the script failed with, if it did so far."""
        return next(iter(self._texts("raised")), None)

    @property
    def thread_errors(self) -> list[str]:
        """The messages background threads failed with so far."""
        return self._texts("thread_error")

    def wait_line(self, pattern: str, timeout_seconds: float = PATIENCE_SECONDS) -> str:
        """The first printed line that `pattern` (a regular expression) is found in. Raises AssertionError when none comes."""
        return self.wait_for("print", pattern, timeout_seconds)

    def wait_for(self, event: str, pattern: str = "", timeout_seconds: float = PATIENCE_SECONDS) -> str:
        """The text of the first such event whose text matches. Raises AssertionError when none comes in time."""
        deadline = time.monotonic() + timeout_seconds
        with self._news:
            while True:
                for happened in self._happened:
                    if happened.event == event and re.search(pattern, happened.text):
                        return happened.text
                left = deadline - time.monotonic()
                ended = any(happened.event == "finished" for happened in self._happened)
                if ended or left <= 0:
                    why = "before the end" if ended else f"within {timeout_seconds} s"
                    raise AssertionError(f"no {event} of {pattern!r} {why}, but: {self._happened}")
                self._news.wait(left)

    def finish(self, timeout_seconds: float = PATIENCE_SECONDS) -> list[Happened]:
        """Everything that happened until the script and its threads ended."""
        self.wait_for("finished", "", timeout_seconds)
        return self._happened[:-1]

    def _texts(self, event: str) -> list[str]:
        with self._news:
            return [happened.text for happened in self._happened if happened.event == event]

    def _read(self) -> None:
        finished = False
        for line in self._host.lines():
            entry = json.loads(line)
            finished = finished or entry["event"] == "finished"
            self._add(Happened(entry["event"], entry["text"]))
        if not finished:
            self._add(Happened("raised", "the interpreter died: " + self._host.last_words()[-2000:]))
            self._add(Happened("finished", ""))

    def _add(self, happened: Happened) -> None:
        with self._news:
            self._happened.append(happened)
            self._news.notify_all()


class LoaderRun(LuaRun):
    """A script's loader, fetched from its URL and run as a user does it.

    `files` is a folder for what the host keeps, `days_ahead` how far its clock is ahead; with `errors` it tells of threads that fail; `loader` is one that was fetched before.
    `leads` is a host name and the address and port that it is to lead to, for a loader that was made for that name.
    """

    def __init__(
        self,
        loader_url: str,
        *arguments: str,
        key: str | None = None,
        fingerprint: str | None = "Test device",
        executor: str | None = "Test host",
        player: int | None = None,
        place: int | None = None,
        job: str | None = None,
        websocket: bool = True,
        threads: bool = True,
        kick: bool = True,
        clock_rate: int | None = None,
        time_rate: float = 1,
        engine: str = "luau",
        leads: tuple[str, str] | None = None,
        files: Path | None = None,
        days_ahead: float | None = None,
        errors: bool = False,
        loader: bytes | None = None,
    ) -> None:
        given = {
            "fingerprint": fingerprint,
            "executor": executor,
            "player": player,
            "place": place,
            "job": job,
            "clock_rate": clock_rate,
            "keeps": None if files is None else "yes",
            "days_ahead": days_ahead,
            "errors": "yes" if errors else None,
        }
        settings = {name: str(value) for name, value in given.items() if value is not None}
        lacks = {"websocket": websocket, "threads": threads, "kick": kick}
        settings |= {name: "no" for name, has in lacks.items() if not has}
        script = USER_SCRIPT % ("nil" if key is None else f'"{key}"', loader_url)
        if loader is not None:
            script = script.replace(f'http_get("{loader_url}")', lua_string(loader))
        if leads is not None:
            script = ELSEWHERE % (leads[0].replace(".", "%."), leads[1]) + script
        super().__init__(script, *arguments, engine=engine, settings=settings, time_rate=time_rate, files=files)


def run_text(
    text: str | bytes,
    *arguments: str,
    engine: str = "luau",
    timeout_seconds: float = PATIENCE_SECONDS,
    is_optimised: bool = False,
) -> list[str]:
    """The lines a Lua text prints until it ends. Raises AssertionError when it or one of its threads fails."""
    with LuaRun(text, *arguments, engine=engine, is_optimised=is_optimised) as run:
        happened = run.finish(timeout_seconds)
        problems = [entry for entry in happened if entry.event in {"raised", "thread_error"}]
        assert not problems, problems
        return run.lines


def _host(engine: str, start: Path, time_rate: float, files: Path, *, is_optimised: bool) -> Host:
    if engine == "luau":
        return luau_host(start, time_rate, files, is_optimised=is_optimised)
    return lua_host(ENGINES[engine], start, time_rate, files)


def _escape(field: bytes | str) -> str:
    text = field if isinstance(field, str) else field.decode("latin-1")
    return re.sub(r"[^!-$&-~]", lambda match: f"%{ord(match[0]):02X}", text) or "%"
