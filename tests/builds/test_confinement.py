"""A worker that a script has taken over, under a server that holds a secret: what it can reach of it, of the network and of others.

The probes run inside the real worker process, in the place of the protector, and do succeed where nothing confines them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from moonlatch.builds import landlock
from moonlatch.builds.confinement import NOBODY, Confinement

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what confines is Linux's")

SIGNALS_SINCE = 6
SERVER = Path(__file__).with_name("confined_server.py")
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""Root in name only: what it starts cannot become another user, and owns what the server owns."""

PROBES = """
import ctypes, errno, os, signal, socket, subprocess
system = ctypes.CDLL(None, use_errno=True)

def called(name, *arguments):
    ctypes.set_errno(0)
    if getattr(system, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

def peek(victim):
    local, data = ctypes.create_string_buffer(8), ctypes.create_string_buffer(16)
    address = ctypes.addressof(local)
    part = (ctypes.c_size_t * 2)(address, 8)
    try:
        called("process_vm_readv", victim, part, 1, part, 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:  # it may; there is only nothing at this address
            raise

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

TRIES = {
    "read the key": lambda: open(KEY, "rb").read(),
    "list the folder": lambda: os.listdir(os.path.dirname(KEY)),
    "write a file": lambda: open(KEY + ".new", "wb"),
    "remove the key": lambda: os.rename(KEY, KEY + ".gone"),
    "read the environment": lambda: open(f"/proc/{VICTIM}/environ", "rb").read(),
    "open its memory": lambda: open(f"/proc/{VICTIM}/mem", "r+b").close(),
    "open a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
    "open a datagram socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "open a local socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close(),
    "signal": lambda: os.kill(VICTIM, 0),
    "trace": lambda: called("ptrace", 0x4206, VICTIM, 0, 0),  # SEIZE: it does not stop for it
    "read its memory": lambda: peek(VICTIM),
    "read its parent's memory": lambda: peek(os.getppid()),
    "signal its parent": lambda: os.kill(os.getppid(), 0),
    "fork": fork,
    "run a program": lambda: subprocess.run(["/bin/true"], check=True),
    "kill": lambda: os.kill(VICTIM, signal.SIGKILL),
}

def tried(name):
    try:
        TRIES[name]()
    except Exception as error:
        return type(error).__name__
    return "done"
"""
IN_WORKER = """
import sys
if "moonlatch.builds.fork_server" in sys.orig_argv:
    import json, os
    from moonlatch.obfuscator import pipeline
    from moonlatch.obfuscator.outcome import Protected
    import probes
    probes.VICTIM = os.getppid()

    def protect(source, options, seed):
        if source:  # what a worker tries before it is confined
            return None
        said = {name: probes.tried(name) for name in probes.TRIES}
        return Protected(text=json.dumps(said))

    pipeline.protect = protect
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir(0o700)
    (data / "master.key").write_bytes(os.urandom(32))
    (data / "master.key").chmod(0o600)
    (tmp_path / "sitecustomize.py").write_text(IN_WORKER)
    (tmp_path / "probes.py").write_text(f"KEY = {str(data / 'master.key')!r}\nVICTIM = 0\n{PROBES}")
    return tmp_path


def taken_over(folder: Path, *, without: str = "", capable: bool = True) -> tuple[dict[str, Any], str]:
    """What the probes in a worker said, and what its server logged."""
    as_whom = () if capable else WITHOUT_CAPABILITIES
    command = [*as_whom, sys.executable, str(SERVER), str(folder), without]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_the_probes_reach_everything_where_nothing_confines_them(folder: Path) -> None:
    program = (
        "import probes, subprocess, sys, json\n"
        "victim = subprocess.Popen(['sleep', '60'])\n"
        "probes.VICTIM = victim.pid\n"
        "print(json.dumps({name: probes.tried(name) for name in probes.TRIES}))\n"
        "victim.kill()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    said = json.loads(done.stdout)
    if Path("/proc/sys/kernel/yama/ptrace_scope").exists():  # only a parent may, which this one is
        said["trace"] = said["read its parent's memory"] = "done"
    assert {name: how for name, how in said.items() if how != "done"} == {}


@pytest.mark.parametrize("without", ["", "landlock", "seccomp"])
@pytest.mark.parametrize("capable", [True, False], ids=["root", "like a user"])
def test_a_worker_that_was_taken_over_reaches_nothing(folder: Path, without: str, capable: bool) -> None:
    if os.geteuid() == 0 and not capable and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    answer, _ = taken_over(folder, without=without, capable=capable or os.geteuid() != 0)
    reached = {name for name, how in answer["said"].items() if how == "done"}
    # Landlock knows no forks, whose limit does not hold for root, and its earlier versions no signals.
    unheld = {"fork"} if without == "seccomp" and not capable else set()
    if without == "seccomp" and landlock.version() < SIGNALS_SINCE:
        unheld |= {"signal its parent"} if capable else {"signal its parent", "signal", "kill"}
    assert reached <= unheld
    assert answer["users"] == [NOBODY if capable and os.geteuid() == 0 else os.geteuid()]
    assert sorted(path.name for path in (folder / "data").iterdir()) == ["master.key"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start its workers as somebody else")
def test_another_user_holds_without_help_of_the_kernel(folder: Path) -> None:
    answer, log = taken_over(folder, without="landlock,seccomp")
    assert {name for name, how in answer["said"].items() if how == "done"} == {"signal its parent"}
    assert "this system does not give them Landlock, a filter of system calls" in log


def test_the_log_says_once_what_confines_and_what_does_not(folder: Path) -> None:
    _, whole = taken_over(folder)
    _, older = taken_over(folder, without="landlock")
    assert whole.count("worker processes are confined by") == older.count("worker processes are confined by") == 1
    assert "Landlock (version" in whole
    assert "does not give" not in whole
    assert older.rstrip().endswith("a filter of system calls; this system does not give them Landlock")


STAYING = """
import sys
if "moonlatch.builds.fork_server" in sys.orig_argv:
    import errno, json, os
    from moonlatch.obfuscator import pipeline
    from moonlatch.obfuscator.outcome import Protected
    seen = []

    def is_open(number):
        try:
            os.lseek(number, 0, os.SEEK_CUR)  # other ways of asking are refused
        except OSError as error:
            return error.errno == errno.ESPIPE
        return True

    def protect(source, options, seed):
        if b"script of" not in source:  # what a worker tries before it is confined
            return None
        before = [bytes(one).decode() for one in seen]
        seen.append(source)
        return Protected(text=json.dumps({"before": before, "open": [number for number in range(64) if is_open(number)]}))

    pipeline.protect = protect
"""


def test_a_script_that_takes_its_worker_over_is_given_no_other(folder: Path) -> None:
    (folder / "sitecustomize.py").write_text(STAYING)
    program = (
        "import asyncio, json\n"
        "from moonlatch.builds.job import Job\n"
        "from moonlatch.builds.pool import WorkerPool\n"
        "from moonlatch.config.sections import ProtectorSettings\n"
        "async def main():\n"
        "    pool = WorkerPool(ProtectorSettings(workers=1, timeout_seconds=60, memory_mib=1024, max_waiting=8))\n"
        "    deadline = asyncio.get_running_loop().time() + 60\n"
        "    said = []\n"
        "    for owner in (b'ann', b'bob'):\n"
        "        job = Job(source=b'script of ' + owner, profile='light', target='luau', client_chunk=True, seed=1)\n"
        "        said.append(json.loads((await pool.answer_to(job, deadline=deadline)).text))\n"
        "    await pool.close()\n"
        "    print(json.dumps(said))\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    ann, bob = json.loads(done.stdout)
    assert ann["before"] == bob["before"] == []
    # Standard output and error, which are the server's log, and where the answer goes: not where jobs come from.
    assert (0 in bob["open"], len(bob["open"])) == (False, 3)


def test_what_is_missing_is_named() -> None:
    nothing = Confinement(other_user=False, no_new_files=False, landlock=0, system_calls=False)
    assert (nothing.holds, nothing.missing) == ("nothing", "Landlock, a filter of system calls")
