"""The real server, killed while it takes the steps of a rollout: each step is taken once and whole, however often it starts again."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from support.developer import Developer
from support.rounds import rounds
from support.server import MoonlatchServer

STEPS = rounds(2, 12)
"""A server takes one as soon as it runs, and is killed then; the last one is followed by the end."""


def test_a_kill_loses_and_repeats_no_step(tmp_path: Path) -> None:
    server = MoonlatchServer(tmp_path / "data", {})
    token = server.new_account("owner")
    shares = [10_000 * (number + 1) // STEPS for number in range(STEPS)]
    with server:
        with Developer(server.url, token) as developer:
            project = developer.new_project()
            script = developer.new_script(project, "print(1)")
            developer.post(f"/scripts/{script}/update", script="print(2)")
            developer.post(f"/scripts/{script}/rollback", build=1)
            steps = [{"basis_points": share, "minutes": 0} for share in shares]
            developer.post(f"/scripts/{script}/rollouts", build=2, steps=steps)
        seen = -1
        for _ in range(STEPS + 1):
            server.kill()
            server.start()
            seen = next_step(server, token, script, after=seen)
            if seen == STEPS:
                break
        with Developer(server.url, token) as developer:
            events = developer.get("/events", limit=200)["events"]
            (current,) = [one for one in developer.get(f"/scripts/{script}/builds")["builds"] if one["current"]]
    taken = [event["changes"]["basis_points"] for event in events if event["kind"] == "script.rollout_advanced"]
    assert taken[::-1] == [list(pair) for pair in itertools.pairwise(shares)]
    assert [event["kind"] for event in events].count("script.rollout_finished") == 1
    assert current["number"] == 2


def next_step(server: MoonlatchServer, token: str, script: str, *, after: int) -> int:
    """The step that the rollout is at, as soon as it is a later one; `STEPS` when it is over."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        with Developer(server.url, token) as developer:
            (rollout,) = developer.get(f"/scripts/{script}/rollouts")["rollouts"]
        step: int = STEPS if rollout["state"] == "finished" else rollout["step"]
        if step > after:
            return step
        time.sleep(0.05)
    raise AssertionError("no step was taken")
