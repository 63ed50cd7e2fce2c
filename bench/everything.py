"""All figures in one table: `make bench`, or `python bench/everything.py [NAME]...`.

Exit status 1 when a goal is missed. Takes about twelve minutes, alone on its machine. `bench/protector.py` by itself measures every profile.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

import beating
import beside_builds
import changes
import events
import execute
import heartbeat
import messages
import pages
import protector
import rates
import rollout
import servers
import sessions
import workers
from engines import POSTGRES, SQLITE, NotThereError
from figures import Figure, Skipped, print_table

import dashboard
import webhooks

Measure = Callable[[], Sequence[Figure]]

MEASURES: dict[str, tuple[Measure, bool]] = {
    "heartbeat": (lambda: heartbeat.measure(rates.ROUNDS, rates.SECONDS, SQLITE), True),
    "heartbeat-postgres": (lambda: heartbeat.measure(rates.ROUNDS, rates.SECONDS, POSTGRES), True),
    "execute": (lambda: execute.measure(rates.ROUNDS, rates.SECONDS, SQLITE), True),
    "execute-marked": (lambda: execute.measure(rates.ROUNDS, rates.SECONDS, SQLITE, has_marks=True), True),
    "execute-postgres": (lambda: execute.measure(rates.ROUNDS, rates.SECONDS, POSTGRES), True),
    "rollout": (lambda: rollout.measure(rates.ROUNDS, rates.SECONDS, SQLITE), True),
    "workers": (workers.measure, False),
    "sessions": (sessions.measure, True),
    "messages": (messages.measure, True),
    "pages": (pages.measure, False),
    "line-maps": (protector.measure, False),
    "changes": (changes.measure, False),
    "dashboard": (dashboard.measure, False),
    "events": (events.measure, False),
    "beside-builds": (beside_builds.measure, False),
    "beating": (beating.measure, True),
    "webhooks": (webhooks.measure, False),
}
"""By name, and whether the load comes from a core of its own."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(MEASURES)}; all without one")
    names = arguments.parse_args().names or list(MEASURES)
    everywhere = os.sched_getaffinity(0)
    figures: list[Figure | Skipped] = []
    for name in names:
        measure, is_pinned = MEASURES[name]
        if is_pinned:
            servers.pin(servers.LOAD_CORE)
        else:
            os.sched_setaffinity(0, everywhere)
        try:
            figures += measure()
        except NotThereError as missing:
            figures.append(Skipped(name, str(missing)))
    return print_table(figures)


if __name__ == "__main__":
    sys.exit(main())
