"""Leases with nothing replaced: a real server that is killed, its real loader, and a customer who plays with files, devices and the clock."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.developer import Developer, eventually
from support.lua_host import LoaderRun
from support.rounds import rounds
from support.server import MoonlatchServer

DAYS = 7
ENGINES = ("lua54", "luau", "lua51", "luajit")[: rounds(1, 4)]
STARTED = "started"
ENDED, WENT_BACK = "it has ended", "the clock of this device went back"
ELSEWHERE, NO_RECORD = "it is for another key or device", "the record of the time is missing or damaged"
DAMAGED, NO_TEXT = "it is damaged, or from another server or script", "the script in it is damaged"


@dataclass
class Away:
    """What customers have of a server that was killed: a loader, keys, and for each key what its host kept."""

    url: str
    loader: bytes
    keys: list[str]
    files: list[Path]

    def start(
        self, number: int = 0, *, files: Path | None = None, engine: str = "lua54", **options: float | str
    ) -> str:
        """What the script printed, or why it did not start."""
        with LoaderRun(
            self.url,
            key=self.keys[number],
            files=files or self.files[number],
            loader=self.loader,
            engine=engine,
            time_rate=50,
            **options,
        ) as run:
            eventually(lambda: run.lines or run.raised, 60)
            return run.raised.rpartition("cannot be used: ")[2] if run.raised else run.lines[0]

    def copy(self, to: Path, number: int = 0) -> dict[str, Path]:
        """Another folder with the same: by what each file is."""
        shutil.copytree(self.files[number], to)
        return {"time" if each.stem.endswith("-time") else "lease": each for each in to.iterdir()}


def test_a_lease_starts_its_script_for_its_time_on_its_device_and_nothing_else(tmp_path: Path) -> None:
    away = granted(tmp_path / "granted")
    for engine in ENGINES:
        check_a_week(away, tmp_path / engine, engine)
    check_the_clock(away, tmp_path / "clock")
    check_what_was_tampered_with(away, tmp_path)


def granted(folder: Path) -> Away:
    """Starts while the server was there, which then was killed."""
    server = MoonlatchServer(folder / "data")
    token = server.new_account("offline")
    with server, Developer(server.url, token) as developer:
        project = developer.new_project()
        script = developer.new_script(project, 'print("started")', profile="light", offline_days=DAYS)
        keys = [developer.new_key(project) for _ in range(2)]
        url = f"{server.url}/loader/{script}"
        found = Away(url, httpx.get(url).content, keys, [folder / "0", folder / "1"])
        for number, files in enumerate(found.files):
            files.mkdir()
            assert found.start(number) == STARTED
        server.kill()
    return found


def check_a_week(away: Away, files: Path, engine: str) -> None:
    away.copy(files)
    for days, outcome in ((0.1, STARTED), (6.9, STARTED), (DAYS + 1.1, ENDED)):
        assert away.start(files=files, engine=engine, days_ahead=days) == outcome


def check_the_clock(away: Away, files: Path) -> None:
    kept = away.copy(files)
    assert away.start(files=files, days_ahead=5) == STARTED
    assert away.start(files=files, days_ahead=4.9) == WENT_BACK
    assert away.start(files=files, days_ahead=-400) == WENT_BACK
    kept["time"].unlink()
    assert away.start(files=files, days_ahead=4.9) == NO_RECORD


def check_what_was_tampered_with(away: Away, tmp_path: Path) -> None:
    assert away.start(fingerprint="Another device") == ELSEWHERE
    kept, other = away.copy(tmp_path / "mine"), away.copy(tmp_path / "other", 1)
    lease, of_other = kept["lease"].read_text(), other["lease"].read_text()
    heading, token, payload = lease.split("\n")
    outcomes = {}
    for name, text in {
        "another key's": of_other,
        "another key's statement": "\n".join([heading, of_other.split("\n")[1], payload]),
        "a flipped character": lease.replace(token[40:60], token[40:59] + ("A" if token[59] != "A" else "B"), 1),
        "another payload": "\n".join([heading, token, payload[:-8] + "AAAAAAA="]),
        "cut": lease[:-8],
    }.items():
        kept["lease"].write_text(text)
        outcomes[name] = away.start(files=tmp_path / "mine")
    kept["lease"].write_text(lease)
    assert away.start(files=tmp_path / "mine") == STARTED
    assert outcomes == {
        "another key's": ELSEWHERE,
        "another key's statement": ELSEWHERE,
        "a flipped character": DAMAGED,
        "another payload": NO_TEXT,
        "cut": NO_TEXT,
    }
