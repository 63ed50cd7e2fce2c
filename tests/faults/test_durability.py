"""A killed server loses nothing it acknowledged, keeps nothing by halves, and starts again by itself."""

import asyncio
import os
import sys
from pathlib import Path

from moonlatch.storage.interface import Query
from support import crash_writer
from support.crash import assert_sound, kill_in_rounds
from support.database import opened
from support.rounds import rounds

ROUNDS = rounds(8, 40)
SEED = 20_240_607

ACCOUNTS = Query("test.accounts", "select id, obfuscations_used from accounts")
CHILDREN = Query(
    "test.children",
    "select projects.id, count(users.id) from projects left join users on users.project_id = projects.id"
    " group by projects.id",
)


class Ledger:
    """What the writer said of each account: its counter, and whether it is, may be, or is not to be there."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}
        self.removing: set[str] = set()
        self.removed: set[str] = set()
        self.acknowledged = 0

    def note(self, line: str) -> None:
        verb, name, *rest = line.split()
        if verb == "removing":
            self.removing.add(name)
            return
        self.acknowledged += 1
        if verb == "added":
            self.counted[name] = 0
        elif verb == "counted":
            self.counted[name] = int(rest[0])
        else:
            assert verb == "removed"
            self.removed.add(name)

    def must_be_there(self) -> set[str]:
        return set(self.counted) - self.removing


class WriterUnderTest:
    """The child process, the pipe it acknowledges to, and the file it writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger()
        self.acknowledged_per_round: list[int] = []

    async def start(self, number: int) -> asyncio.subprocess.Process:
        tests = str(Path(crash_writer.__file__).parents[1])
        python_path = os.pathsep.join(filter(None, [tests, os.environ.get("PYTHONPATH")]))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            crash_writer.__file__,
            str(self.path),
            str(number),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": python_path},
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return process

    async def load(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        before = self.ledger.acknowledged
        async for line in process.stdout:
            self.ledger.note(line.decode())
        self.acknowledged_per_round.append(self.ledger.acknowledged - before)

    async def verify(self) -> None:
        async with opened(self.path) as database:
            accounts = {row[0]: row[1] for row in await database.fetch_all(ACCOUNTS)}
            children = {row[0]: row[1] for row in await database.fetch_all(CHILDREN)}
        lost = self.ledger.must_be_there() - set(accounts)
        assert lost == set(), "acknowledged accounts are missing"
        assert self.ledger.removed & set(accounts) == set(), "removed accounts are back"
        for name, counted in self.ledger.counted.items():
            # One more may have been committed and not been acknowledged any more.
            assert name not in accounts or accounts[name] in (counted, counted + 1)
        assert children == dict.fromkeys(accounts, crash_writer.USERS), "a transaction was applied by halves"
        assert not [name for name in accounts if name.endswith("-refused")], "a refused transaction was kept"
        assert_sound(self.path)


async def test_a_writer_that_is_killed_again_and_again_loses_no_acknowledged_write(tmp_path: Path):
    writer = WriterUnderTest(tmp_path / "moonlatch.db")

    await kill_in_rounds(
        ROUNDS,
        writer.start,
        writer.load,
        writer.verify,
        between_seconds=(0.02, 0.6),
        seed=SEED,
        is_enough=lambda: bool(writer.ledger.removed),
    )

    assert len(writer.acknowledged_per_round) == ROUNDS
    # On a busy machine the shortest rounds end before the first write.
    assert sorted(writer.acknowledged_per_round)[ROUNDS // 2] > 0, "most rounds were killed before they wrote anything"
    assert writer.ledger.removed, "nothing was removed before a kill"


async def test_a_writer_killed_while_it_first_creates_the_schema_starts_again(tmp_path: Path):
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
        path = tmp_path / f"{delay}.db"
        program = (
            "import asyncio, sys; from pathlib import Path; from moonlatch.storage.sqlite.engine import open_sqlite\n"
            "print('ready', flush=True); asyncio.run(open_sqlite(Path(sys.argv[1])))"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(delay)
        if process.returncode is None:
            process.kill()
        await process.wait()

        async with opened(path) as database:
            assert await database.fetch_all(ACCOUNTS) == []
        assert_sound(path)
