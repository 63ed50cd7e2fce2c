"""The clock of leases: running time, whatever happens to the system's time or to the process."""

from __future__ import annotations

from moonlatch.clock import SteadyClock


class Monotonic:
    """What the system says has passed."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_running_time_passes_as_it_does() -> None:
    monotonic = Monotonic()
    clock = SteadyClock(monotonic)
    for _ in range(200):
        monotonic.seconds += 0.5
        clock()
    assert clock() == 100_000


def test_a_pause_counts_for_a_second_at_most() -> None:
    monotonic = Monotonic()
    clock = SteadyClock(monotonic)
    for seconds in (0.5, 3_600, 0.5):
        monotonic.seconds += seconds
        clock()
    assert clock() <= 2_000
