"""Worker processes under real hostile inputs: whatever a script does, it fails by name and the next one works."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from moonlatch.builds.job import Done, Failed, Fault, Invalid, Job, WorkerAnswer
from moonlatch.builds.pool import PoolBusyError, WorkerPool
from moonlatch.config.sections import ProtectorSettings
from moonlatch.licensing.tier import MEBIBYTE, NO_LIMITS
from support.protecting import LUA51_PROGRAMS

LINE = b"t[1] = t[2] + (t.x or 4) * 2 - t[3]\n"
LARGE = b"local t = {}\n" + LINE * 50_000  # 1.9 MB, seconds of work


def job(source: bytes, profile: str = "light") -> Job:
    return Job(source=source, profile=profile, target="luau", client_chunk=True, seed=1)


async def ask(pool: WorkerPool, source: bytes, seconds: float = 90, profile: str = "light") -> WorkerAnswer:
    return await pool.answer_to(job(source, profile), deadline=asyncio.get_running_loop().time() + seconds)


async def one_worker(**limits: float) -> WorkerPool:
    """A pool of one, warm: its worker has done a first job. Its limits may be tighter than a server's."""
    options = {"workers": 1, "timeout_seconds": 60, "memory_mib": 1024, "max_waiting": 8, **limits}
    pool = WorkerPool(ProtectorSettings().model_copy(update=options))
    await ask(pool, b"")
    return pool


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept() -> AsyncIterator[WorkerPool]:
    """One worker, which is to outlive everything that it is asked."""
    pool = await one_worker()
    yield pool
    await pool.close()


async def works(pool: WorkerPool) -> bool:
    return isinstance(await ask(pool, b"print(1)"), Done)


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def peak_bytes(pid: int) -> int:
    """The most address space that a process has had, which is what its limit counts."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmPeak:")[2].split()[0]) * 1024


async def test_a_worker_gives_way_to_its_server_and_hears_no_ctrl_c(workers: WorkerPool) -> None:
    await ask(workers, b"print(1)")
    for worker in workers.process_ids:
        assert os.getpriority(os.PRIO_PROCESS, worker) >= os.getpriority(os.PRIO_PROCESS, 0) + 10
        # Niceness counts among those of one session.
        assert os.getsid(worker) == os.getsid(0)
        assert os.getpgid(worker) == worker


async def test_a_worker_is_kept_for_the_next_job(workers: WorkerPool) -> None:
    await ask(workers, b"print(1)")
    first = workers.process_ids
    await ask(workers, b"print(2)")
    assert workers.process_ids == first


@pytest.mark.parametrize(
    "source",
    [
        b"(" * 10_000,
        b"x = " + b"(" * 10_000 + b"1" + b")" * 10_000,
        b"x = " + b"{" * 10_000 + b"}" * 10_000,
        b"x = " + b"-" * 1 + b" -" * 10_000 + b"1",
        b"x = " + b"not " * 10_000 + b"1",
        b"do " * 10_000 + b"end " * 10_000,
        b"if x then " * 10_000 + b"end " * 10_000,
        b"x = " + b"function() return " * 10_000 + b"1" + b" end" * 10_000,
        b"x = 1" + b" .. 1" * 10_000,
        b"x = 1" + b" ^ 1" * 10_000,
        b"x = a" + b".b" * 10_000,
        b"x = a" + b"()" * 10_000,
        b"local x: " + b"{" * 10_000 + b"}" * 10_000,
        b"type T = " + b"(" * 10_000 + b"number" + b")" * 10_000,
        b"x = if a then b" + b" elseif a then b" * 10_000 + b" else c",
        b"x = `" + b"{`" * 10_000 + b"`}" * 10_000 + b"`",
        bytes(range(256)) * 4000,
        b"\0" * 100_000,
        b"'" + b"\\" * 1_000_000,
        b"--[[" * 100_000,
        b"[" + b"=" * 1_000_000,
    ],
    ids=lambda source: source[:24].decode("latin-1").encode("unicode_escape").decode(),
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_hostile_text_gets_an_answer_and_harms_nobody(kept: WorkerPool, source: bytes) -> None:
    before = kept.process_ids
    answer = await ask(kept, source, seconds=20)
    assert isinstance(answer, Done | Invalid)
    assert kept.process_ids == before


async def test_a_script_that_needs_too_much_memory_fails_with_the_limits_name() -> None:
    pool = await one_worker(memory_mib=64)
    expected = (
        "the script needs more than the 64 MiB of memory that a worker process may take; "
        "divide the script, choose the profile 'minify' or have protector.memory_mib raised"
    )
    assert await ask(pool, LARGE) == Failed(faults=[Fault("script", expected)])
    assert await works(pool)
    await pool.close()


@pytest.mark.parametrize("profile", ["light", "standard", "maximum"])
async def test_the_largest_script_that_tiers_allow_fits_into_a_worker(profile: str) -> None:
    """Told from a smaller one: what a build takes grows with its script."""
    source = b"".join(b"(function(...) %b\nend)(...);" % program.read_bytes() for program in LUA51_PROGRAMS) * 4
    pool = await one_worker()
    (worker,) = pool.process_ids
    idle = peak_bytes(worker)
    asking = asyncio.create_task(ask(pool, source, profile=profile))
    growth = 0
    while not asking.done():
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended, or has not begun
            child = int(Path(f"/proc/{worker}/task/{worker}/children").read_text())
            growth = max(growth, peak_bytes(child) - idle)
        await asyncio.sleep(0.005)
    assert isinstance(await asking, Done)
    assert growth
    assert idle + growth * NO_LIMITS.script_bytes / len(source) <= ProtectorSettings().memory_mib * MEBIBYTE
    await pool.close()


async def test_a_worker_inherits_none_of_the_servers_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLATCH_TOKEN", "ml_secret")
    pool = await one_worker()
    (worker,) = pool.process_ids
    assert b"ml_secret" not in Path(f"/proc/{worker}/environ").read_bytes()
    await pool.close()


async def test_nothing_of_a_job_stays_where_the_next_one_could_find_it() -> None:
    """A child of the process that forks has a copy of its memory."""
    pool = await one_worker()
    (worker,) = pool.process_ids
    source = b"local text = 'harmless_" + b"rutabaga" * 20_000 + b"' print(text)"
    answer = await ask(pool, source, profile="minify")
    assert isinstance(answer, Done)
    assert b"rutabagarutabaga" in answer.text
    await ask(pool, b"")
    found = 0
    try:
        with Path(f"/proc/{worker}/mem").open("rb", 0) as memory:
            for line in Path(f"/proc/{worker}/maps").read_text().splitlines():
                begin, end = (int(number, 16) for number in line.split()[0].split("-"))
                with contextlib.suppress(OSError, OverflowError):  # pages that are the kernel's
                    memory.seek(begin)
                    found += memory.read(end - begin).count(b"rutabaga")
    except PermissionError:
        pytest.skip("may not look at the memory of others")
    await pool.close()
    assert found == 0


async def test_a_script_that_takes_too_long_fails_and_its_worker_is_replaced() -> None:
    pool = await one_worker(timeout_seconds=0.5)
    (before,) = pool.process_ids
    answer = await ask(pool, LARGE)
    expected = (
        "the script took longer than the 0.5 s it may take; "
        "divide the script, choose the profile 'minify' or have protector.timeout_seconds raised"
    )
    assert answer == Failed(faults=[Fault("script", expected)])
    assert not is_running(before)
    assert await works(pool)
    await pool.close()


async def test_a_worker_that_is_killed_while_it_works_fails_only_its_job() -> None:
    pool = await one_worker()
    (worker,) = pool.process_ids
    working = asyncio.create_task(ask(pool, LARGE))
    await asyncio.sleep(0.3)
    os.kill(worker, signal.SIGKILL)
    expected = "the worker process was killed by signal SIGKILL while it worked on the script"
    assert await working == Failed(faults=[Fault("script", expected)])
    assert await works(pool)
    assert pool.process_ids != [worker]
    await pool.close()


async def test_a_worker_that_is_killed_while_it_is_idle_is_noticed() -> None:
    pool = await one_worker()
    (worker,) = pool.process_ids
    os.kill(worker, signal.SIGKILL)
    while pool.process_ids:
        await asyncio.sleep(0.01)
    assert not is_running(worker)
    assert await works(pool)
    await pool.close()


async def test_the_event_loop_stays_quick_while_large_scripts_are_protected(workers: WorkerPool) -> None:
    await asyncio.gather(ask(workers, b""), ask(workers, b""))
    work = asyncio.gather(ask(workers, LINE * 10_000), ask(workers, LARGE + b"error(1"))
    began = time.monotonic()
    worst = 0.0
    while not work.done():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        worst = max(worst, time.monotonic() - before)
    assert [type(answer) for answer in await work] == [Done, Invalid]
    # Compared with each other, because a busy machine makes both longer.
    assert worst < (time.monotonic() - began) / 4


async def test_a_job_that_gets_no_worker_before_its_deadline_is_turned_away() -> None:
    pool = await one_worker(timeout_seconds=2)
    busy = asyncio.create_task(ask(pool, LARGE))
    await asyncio.sleep(0.05)
    with pytest.raises(PoolBusyError):
        await ask(pool, b"print(1)", seconds=0.2)
    await busy
    with pytest.raises(PoolBusyError):
        await ask(pool, b"print(1)", seconds=-1)
    assert await works(pool)
    await pool.close()


async def test_more_jobs_than_may_wait_are_not_admitted() -> None:
    pool = WorkerPool(ProtectorSettings(workers=1, timeout_seconds=1, memory_mib=1024, max_waiting=1))
    with pool.admission("ann"), pool.admission("bob"), pytest.raises(PoolBusyError), pool.admission("eve"):
        pass
    with pool.admission("eve"):
        pass


async def test_one_owner_gets_half_of_the_places_at_most() -> None:
    pool = WorkerPool(ProtectorSettings(workers=1, timeout_seconds=1, memory_mib=1024, max_waiting=3))
    with pool.admission("ann"), pool.admission("ann"):
        with pytest.raises(PoolBusyError), pool.admission("ann"):
            pass
        with pool.admission("bob"):
            pass


async def test_a_cancelled_job_frees_its_worker() -> None:
    pool = await one_worker()
    (worker,) = pool.process_ids
    working = asyncio.create_task(ask(pool, LARGE))
    await asyncio.sleep(0.2)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert not is_running(worker)
    assert await works(pool)
    await pool.close()


async def test_closing_ends_the_workers_and_the_job_under_way() -> None:
    pool = await one_worker()
    (worker,) = pool.process_ids
    working = asyncio.create_task(ask(pool, LARGE))
    await asyncio.sleep(0.2)
    await pool.close()
    assert isinstance(await working, Failed)
    assert not is_running(worker)
    stopped = Failed(faults=[Fault("script", "no worker process could be started: the server is stopping")])
    assert await ask(pool, b"print(1)") == stopped


async def test_a_script_cannot_be_found_in_what_a_worker_inherits_or_logs(capfd: pytest.CaptureFixture[str]) -> None:
    pool = await one_worker(memory_mib=64)
    await ask(pool, b"local distinctive = 1\n" + LARGE)
    await ask(pool, b"local distinctive = = 1")
    await pool.close()
    captured = capfd.readouterr()
    assert "distinctive" not in captured.out + captured.err


def test_workers_die_with_a_server_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import asyncio\n"
        "from moonlatch.builds.job import Job\n"
        "from moonlatch.builds.pool import WorkerPool\n"
        "from moonlatch.config.sections import ProtectorSettings\n"
        "async def main():\n"
        "    pool = WorkerPool(ProtectorSettings(workers=2, timeout_seconds=60, memory_mib=1024, max_waiting=8))\n"
        "    def job(source):\n"
        "        return Job(source=source, profile='light', target='luau', client_chunk=True, seed=1)\n"
        "    deadline = asyncio.get_running_loop().time() + 60\n"
        "    await asyncio.gather(*(pool.answer_to(job(b''), deadline=deadline) for _ in range(2)))\n"
        "    work = asyncio.create_task(pool.answer_to(job(b'x = 1 + 2\\n' * 200_000), deadline=deadline))\n"
        "    await asyncio.sleep(0.1)\n"
        "    print(*pool.process_ids, flush=True)\n"
        "    await work\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    assert all(is_running(pid) for pid in children)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    give_up = time.monotonic() + 60
    while any(is_running(pid) for pid in children) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert [pid for pid in children if is_running(pid)] == []
