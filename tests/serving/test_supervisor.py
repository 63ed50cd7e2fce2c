"""Children that die are replaced, the word to stop reaches them all, and none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.developer import eventually

PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from moonlatch.serving import supervisor
from moonlatch.serving.supervisor import ChildFailedError, Supervisor

folder, behaviour = Path(sys.argv[1]), sys.argv[2]
supervisor.FIRST_PAUSE_SECONDS = 0.05

def work(child):
    stop = threading.Event()
    def told(number, _frame):
        with (folder / f"told-{os.getpid()}").open("a") as told: told.write("x")
        if behaviour != "deaf": stop.set()
    signal.signal(signal.SIGTERM, told)
    if behaviour == "broken" and child.number == 1: raise ValueError("no such database")
    if behaviour == "dies" and child.number == 1: os._exit(3)
    child.ready()
    (folder / f"{child.number}-{os.getpid()}-{'first' if child.is_first else 'later'}").touch()
    reader = threading.Thread(target=lambda: (os.read(child.parent_end, 1), os._exit(0)), daemon=True)
    reader.start()
    while not stop.wait(0.02): pass

try:
    Supervisor(work, 2, stop_seconds=1.0, stopping=(folder / "stopping").touch).run()
except ChildFailedError as error:
    print(error)
    sys.exit(1)
"""


class Family:
    def __init__(self, folder: Path, behaviour: str) -> None:
        self.folder = folder
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), behaviour], stdout=subprocess.PIPE, text=True
        )

    def children(self, number: int) -> dict[int, str]:
        """Process ids of all that ever worked in this place, with whether they were the first."""
        found = [path.name.split("-") for path in self.folder.glob(f"{number}-*")]
        return {int(pid): first for _, pid, first in found}

    def working(self) -> tuple[int, int]:
        """The children, once there are two."""
        eventually(lambda: self.children(0) and self.children(1))
        return next(iter(self.children(0))), next(iter(self.children(1)))

    def told(self, pid: int) -> int:
        path = self.folder / f"told-{pid}"
        return len(path.read_text()) if path.exists() else 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    families = []

    def begin(behaviour: str = "") -> Family:
        families.append(Family(tmp_path, behaviour))
        return families[-1]

    yield begin
    for family in families:
        family.parent.kill()
        family.parent.wait()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_a_child_that_dies_is_replaced_and_the_other_goes_on(start) -> None:
    family = start()
    one, other = family.working()
    os.kill(other, signal.SIGKILL)
    eventually(lambda: len(family.children(1)) == 2)
    assert sorted(family.children(1).values()) == ["first", "later"]
    assert list(family.children(0)) == [one]
    assert is_alive(one)


def test_the_word_to_stop_reaches_every_child_and_ends_the_parent(start) -> None:
    family = start()
    one, other = family.working()
    family.parent.send_signal(signal.SIGTERM)
    assert family.parent.wait(20) == 0
    assert (family.folder / "stopping").exists()
    assert (family.told(one), family.told(other)) == (1, 1)
    assert not is_alive(one)
    assert not is_alive(other)
    assert len(family.children(0)) == len(family.children(1)) == 1


def test_a_second_word_is_passed_on_and_who_does_not_heed_it_is_killed(start) -> None:
    family = start("deaf")
    one, other = family.working()
    family.parent.send_signal(signal.SIGINT)
    eventually(lambda: family.told(one) == family.told(other) == 1)
    family.parent.send_signal(signal.SIGTERM)
    eventually(lambda: family.told(one) == 2)
    assert family.parent.wait(20) == 0
    assert not is_alive(one)


@pytest.mark.parametrize(
    ("behaviour", "reason"), [("broken", "no such database"), ("dies", "a process ended at its start")]
)
def test_a_child_that_cannot_begin_ends_everything_with_its_reason(start, behaviour: str, reason: str) -> None:
    family = start(behaviour)
    out, _ = family.parent.communicate(timeout=60)
    assert (family.parent.returncode, out) == (1, f"{reason}\n")
    assert not [pid for pid in family.children(0) if is_alive(pid)]


def test_a_parent_that_is_killed_leaves_nobody_behind(start) -> None:
    family = start()
    one, other = family.working()
    family.parent.kill()
    eventually(lambda: not is_alive(one) and not is_alive(other))
