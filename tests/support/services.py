"""PostgreSQL and Redis for tests: servers of our own on free ports in temporary folders, or those that variables name.

`MOONLATCH_TEST_DATABASE_URL` and `MOONLATCH_TEST_REDIS_URL` name servers to use; otherwise each test process starts its own,
at the first test that needs one. Our own ones end with the test process, however that ends. No other server is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg

from moonlatch.storage.migration import shipped_migrations
from moonlatch.storage.postgres.migration import migrate_postgres
from support.server import free_port

T = TypeVar("T")
DATABASE_URL_VARIABLE = "MOONLATCH_TEST_DATABASE_URL"
REDIS_URL_VARIABLE = "MOONLATCH_TEST_REDIS_URL"

START_SECONDS = 60.0
_ROLE = "moonlatch"

# Waits for the end of its standard input, which is the end of the test process, then stops the server and removes its folder.
_REAPER = """
cat >/dev/null
if pid=$(head -n 1 "$2" 2>/dev/null); then
    for process in $(pgrep -P "$pid") "$pid"; do kill -s CONT "$process"; done
    kill -s "$1" "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" || break; sleep 0.2; done
    kill -s KILL "$pid"
fi 2>/dev/null
rm -rf "$3"
"""


class Server:
    """A server process of our own in a temporary folder: it can be stopped, killed, paused and started again.

    Every method blocks; a test that has clients on its own event loop calls them in a thread.
    """

    polite_stop = signal.SIGTERM
    quick_stop = signal.SIGQUIT

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="moonlatch-test-"))
        self.port = free_port()
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._reaper = subprocess.Popen(
            ["sh", "-c", _REAPER, "reaper", self.quick_stop.name.removeprefix("SIG"), self.pid_file, self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the tests
        )
        self.prepare()

    @property
    def pid_file(self) -> Path:
        raise NotImplementedError

    def prepare(self) -> None:
        """What the folder needs before the first start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        """Return whether it is ready for clients."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start it and wait until it is ready; on the same port and data as before."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        give_up = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{self.command()[0]} did not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.01)
        return self

    def stop(self, *, politely: bool = False) -> None:
        """Stop it at once, clients or not; politely, as an operator would. Nothing when it is stopped already."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self.polite_stop if politely else self.quick_stop)
            self._process.wait(30)

    def kill(self) -> None:
        """As if the machine had failed."""
        self._signal_all(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(30)

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """Stop it for good and remove its folder."""
        assert self._reaper.stdin is not None
        if self._process is not None and self._process.poll() is None:
            self.resume()
            self.stop()
        self._reaper.stdin.close()
        self._reaper.wait(30)

    def _signal_all(self, number: signal.Signals) -> None:
        """The server first, so that it starts no others meanwhile."""
        assert self._process is not None
        self._process.send_signal(number)
        children = subprocess.run(["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True, check=False)
        for pid in children.stdout.split():
            with contextlib.suppress(ProcessLookupError):  # one that ended meanwhile
                os.kill(int(pid), number)


class PostgresServer(Server):
    """A PostgreSQL server; `durable` makes it flush to disk, which tests of crashes need and others only wait for."""

    polite_stop = signal.SIGINT  # the "fast" shutdown
    quick_stop = signal.SIGQUIT  # the "immediate" one: recovery at the next start

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        super().__init__()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def prepare(self) -> None:
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            [
                *_as_postgres(),
                _program("initdb"),
                *("--pgdata", str(self.data), "--username", _ROLE, "--auth", "trust", "--no-sync"),
                *("--encoding", "UTF8", "--locale", "C"),
            ],
            check=True,
            capture_output=True,
            cwd="/",
        )

    def command(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "on" if self._durable else "off",
            "synchronous_commit": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "shared_buffers": "32MB",
            "max_connections": 100,
            "autovacuum": "off",
            "authentication_timeout": "2s",  # a client that hangs while connecting holds up the immediate shutdown
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*_as_postgres(), _program("postgres"), "-D", str(self.data), *options]

    def answers(self) -> bool:
        async def connect() -> None:
            connection = await asyncpg.connect(self.url("postgres"), timeout=5)
            await connection.close()

        try:
            wait_for(connect)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgresql://{_ROLE}@127.0.0.1:{self.port}/{database}"


class RedisServer(Server):
    """A Redis (or Valkey) server that keeps nothing on disk."""

    quick_stop = signal.SIGKILL

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    def command(self) -> list[str]:
        program = shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"
        settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "pidfile": self.pid_file,
            "save": "",
            "appendonly": "no",
        }
        return [program, *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]

    def answers(self) -> bool:
        try:
            return redis_command(self.url(0), "PING") == "+PONG"
        except OSError:
            return False

    def url(self, number: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{number}"


S = TypeVar("S", bound="Server")


@contextlib.contextmanager
def running(server: S) -> Iterator[S]:
    """The server, started; stopped and removed at the end."""
    try:
        yield server.start()
    finally:
        server.close()


_numbers = itertools.count(1)


class Databases:
    """Fresh databases on one PostgreSQL server, each removed after its use."""

    def __init__(self, server_url: str) -> None:
        """`server_url` names any existing database of the server; its role may create others."""
        self._server_url = server_url
        # Two in one process, as a measurement against another server has them, take names of their own.
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        self._prefix = f"moonlatch_test_{os.getpid()}_{worker}_{next(_numbers)}"
        self._made = 0
        self._migrated = contextlib.ExitStack()
        self._spare: list[str] = []
        self._schema = ""

    @contextlib.contextmanager
    def fresh(self, options: str = "") -> Iterator[str]:
        """The URL of a new, empty database, made with these further `options` of `create database`."""
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        self.execute(f"create database {name} template template0 {options}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"drop database if exists {name} with (force)")

    @contextlib.contextmanager
    def migrated(self) -> Iterator[str]:
        """The URL of a database with the schema and nothing in it; emptied afterwards, for the next test."""
        if not self._spare:
            self._spare.append(self._migrated.enter_context(self.fresh()))
            url = self._spare[-1]
            wait_for(lambda: migrate_postgres(url, shipped_migrations("postgres")))
            self._schema = wait_for(lambda: _schema(url))
        url = self._spare.pop()
        try:
            yield url
        finally:
            wait_for(lambda: _empty(url))
            # What a test has added, such as a trigger that fails, is nothing for the next one.
            if wait_for(lambda: _schema(url)) == self._schema:
                self._spare.append(url)

    def close(self) -> None:
        self._migrated.close()

    def url(self, name: str) -> str:
        return urllib.parse.urlsplit(self._server_url)._replace(path=f"/{name}").geturl()

    def execute(self, sql: str) -> None:
        """Run one statement beside the tests, such as `create database`."""

        async def run() -> None:
            connection = await asyncpg.connect(self._server_url, timeout=30)
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        wait_for(run)


async def _schema(url: str) -> str:
    """Names what there is of tables, indexes, triggers and functions."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        found: str = await connection.fetchval(
            "select string_agg(name, ' ' order by name) from ("
            "select relname::text as name from pg_class where relnamespace = 'public'::regnamespace"
            " union all select proname::text from pg_proc where pronamespace = 'public'::regnamespace"
            " union all select tgname::text || ' of ' || tgrelid::regclass from pg_trigger where not tgisinternal) there"
        )
    finally:
        await connection.close()
    return found


MANY_ROWS_BYTES = 1 << 20
"""Of a table. To truncate costs new files for each table and index, a quarter of a second in all; most tests leave a few rows."""


async def _empty(url: str) -> None:
    """Remove every row but the schema's history, and whoever is still connected."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        tables = await connection.fetch(
            "select relname as name, pg_relation_size(oid) as size from pg_class"
            " where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'schema_migrations'"
        )
        if connection.get_settings().is_superuser == "on" and max(table["size"] for table in tables) < MANY_ROWS_BYTES:
            # Without triggers, which refuse to remove events and look at the order of what belongs together.
            deletions = [f"delete from {table['name']}" for table in tables if table["size"]]
            await connection.execute("set session_replication_role = replica;" + ";".join(deletions))
        else:
            emptied = "truncate " + ", ".join(table["name"] for table in tables)
            await connection.execute(
                f"alter table events disable trigger user; {emptied}; alter table events enable trigger user"
            )
    finally:
        await connection.close()


def numbered_redis(url: str) -> str:
    """The database of a shared Redis that is this test process's own: the URL's number, plus one for each further process."""
    parts = urllib.parse.urlsplit(url)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return parts._replace(path=f"/{int(parts.path.strip('/') or 0) + worker}").geturl()


def redis_command(url: str, *words: str) -> str:
    """The first line of the answer to one Redis command, without a client library."""
    parts = urllib.parse.urlsplit(url)
    commands = [["AUTH", *([parts.username] if parts.username else []), parts.password]] if parts.password else []
    commands += [["SELECT", parts.path.strip("/") or "0"], list(words)]
    with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), timeout=10) as connection:
        answers = connection.makefile("rb")
        line = b""
        for command in commands:
            connection.sendall(" ".join(command).encode() + b"\r\n")
            line = answers.readline()
    return line.decode().strip()


def wait_for(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end in a thread with a loop of its own: the tests' loop may be running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


def _as_postgres() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def _program(name: str) -> str:
    """A program of the newest PostgreSQL that is installed; Debian keeps them out of the PATH."""
    found = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
    newest = max(found, key=lambda path: int(Path(path).parts[4]), default=None)
    program = newest or shutil.which(name)
    if program is None:
        raise RuntimeError(f"PostgreSQL's {name} is not installed; run scripts/install-test-services as root")
    return program
