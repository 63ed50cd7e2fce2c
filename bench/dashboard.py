"""The dashboard in a real Chromium, from click to content, among 1,000,000 keys and 10,000 sessions: `python bench/dashboard.py`.

Each page is opened anew: nothing of it was shown or fetched before but what the browser keeps of its files. The clock runs in the page,
from the change of its address to the first frame after which nothing is announced as loading. Needs a Chromium, as the tests do, and
minutes for the keys.

Goal: 100 ms for every page.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn
from engines import NotThereError
from figures import Figure, print_table
from pages import EVERY, add_users, members

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from moonlatch.app import open_moonlatch
from moonlatch.cli.first_start import first_account
from moonlatch.clock import DAY_MS, HOUR_MS, now_ms, utc_day
from moonlatch.config import Settings
from moonlatch.crypto import new_id
from moonlatch.master_key import MasterKeySource
from moonlatch.storage import endpoints, events, projects, removed_users, scripts
from moonlatch.storage import users as users_table
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.events import Event, first_id_at
from moonlatch.storage.interface import Query, Transaction
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script
from support.browser import Visit, executable, open_page, running_browser
from support.quick_server import loopback_listener

KEYS, SESSIONS = 1_000_000, 10_000
SCRIPTS, EVENTS, REFUSALS = 20, 50_000, 100_000
AT_ONCE = 1000
BUILDS, PINS, BARS, REMOVED, DELIVERIES, PEOPLE = 30, 20_000, 50_000, 20_000, 20_000, 50
STARTS, STARTS_AN_HOUR = 2_000, 10
ROUNDS = 7
GOAL_MS = 100

ADD_DAY = Query(
    "bench.add_day",
    "insert into execution_days (project_id, script_id, day, executor, executions) "
    "values (:project, :script, :day, :executor, :executions)",
)
ADD_REFUSAL = Query(
    "bench.add_refusal",
    "insert into refusals (user_id, day, code, moment, script_id, fingerprint, first_at, refused_at, times) "
    "values (:user, :day, :code, 'start', :script, :fingerprint, :at, :until, 2)",
)
ADD_START = Query(
    "bench.add_start",
    "insert into executions (id, script_id, build, executor, started_at) values (:id, :script, 1, 'Bench', :at)",
)
ADD_HOUR = Query(
    "bench.add_hour",
    "insert into key_hours (user_id, hour, starts, resets, last_starts) values (:user, :hour, :starts, 0, :last)",
)
ADD_USE = Query(
    "bench.add_use",
    "insert into key_uses (user_id, day, device, network, executor, first_at, last_at, starts) "
    "values (:user, :day, :device, :network, 'Bench', :at, :until, 3)",
)

ADD_BUILD = Query(
    "bench.add_build",
    "insert into builds (script_id, number, payload, profile, source_bytes, created_at, label, notes) "
    "values (:script, :number, :payload, 'light', 1000, :at, :label, 'What is new')",
)
ADD_CHANNEL = Query("bench.add_channel", "insert into channels (script_id, name, build) values (:script, :name, 1)")
ADD_PIN = Query(
    "bench.add_pin",
    "insert into pins (user_id, script_id, channel, created_at) values (:user, :script, 'beta', :at)",
)
ADD_BAR = Query(
    "bench.add_bar",
    "insert into bars (project_id, fingerprint, user_id, kind) values (:project, :device, :user, :kind)",
)
ADD_DELIVERY = Query(
    "bench.add_delivery",
    "insert into deliveries (id, endpoint_id, kind, body, created_at, attempts, delivered_at) "
    "values (:id, :endpoint, 'user.edited', '{}', :at, 1, :at)",
)
ADD_MEMBER = Query(
    "bench.add_member",
    "insert into members (id, account_id, name, sign_in_name, role, invited_by, created_at) "
    "values (:id, :account, :name, :name, 'viewer', 'owner', :at)",
)
ADD_TOKEN = Query(
    "bench.add_token",
    "insert into tokens (id, account_id, name, hash, created_at, prefix) values (:id, :account, 'bot', :hash, :at, 'ml_')",
)

OPENED = """
async (place) => {
    const wanted = place.split("?")[0];
    const isThere = () => {
        const main = document.querySelector("main");
        return main?.dataset.place === wanted && main.querySelector("h1") && !document.querySelector("[aria-busy=true]");
    };
    const begun = performance.now();
    await new Promise((done) => {
        const watch = new MutationObserver(() => {
            if (!isThere()) return;
            watch.disconnect();
            requestAnimationFrame(() => setTimeout(done));
        });
        watch.observe(document.documentElement, { subtree: true, childList: true, attributes: true });
        location.hash = place;
    });
    return performance.now() - begun;
}
"""


@dataclass
class Shop:
    """A project of many keys on a real port."""

    url: str
    token: str
    project: str
    script: str
    user: str
    """Of a key that was used and refused often."""

    endpoint: str

    def places(self) -> Iterator[tuple[str, str]]:
        """A name and the address of every page."""
        of_project = f"/projects/{self.project}"
        script, key = f"{of_project}/scripts/{self.script}", f"{of_project}/keys/{self.user}"
        yield "overview", f"{of_project}/overview"
        yield "scripts", f"{of_project}/scripts"
        yield "script: publish", script
        yield "script: builds", f"{script}?show=builds"
        yield "script: settings", f"{script}?show=settings"
        yield "script: a later page of pins", f"{script}?show=builds&from=10000"
        yield "live", f"{of_project}/live?script={self.script}"
        yield "live: a place", f"{of_project}/live?script={self.script}&place_id=3"
        yield "live: all copies", f"{of_project}/live?script={self.script}&show=copies"
        yield "keys", f"{of_project}/keys"
        yield "keys: newest", f"{of_project}/keys?order=-created"
        yield "keys: first to expire", f"{of_project}/keys?order=expires"
        yield "keys: valid", f"{of_project}/keys?state=active"
        yield "keys: never started", f"{of_project}/keys?state=unused"
        yield "keys: expired", f"{of_project}/keys?state=expired"
        yield "keys: blacklisted", f"{of_project}/keys?state=blacklisted"
        yield "keys: Discord id", f"{of_project}/keys?q={10**17 + 7}"
        yield "keys: beginning", f"{of_project}/keys?q=abc"
        yield "keys: a part of the note", f"{of_project}/keys?q=note 3&in=note_contains"
        yield "keys: page 200", f"{of_project}/keys?from=10000"
        yield "keys: create", f"{of_project}/keys?new=key"
        yield "removed keys", f"{of_project}/removed"
        yield "barred devices", f"{of_project}/bars"
        yield "key: starts", key
        yield "key: devices", f"{key}?show=devices"
        yield "key: builds", f"{key}?show=builds"
        yield "key: refusals", f"{key}?show=refusals"
        yield "key: what was done", f"{key}?show=events"
        yield "key: settings", f"{key}?show=edit"
        yield "events", f"{of_project}/events"
        yield "webhooks", f"{of_project}/webhooks"
        yield "webhook: deliveries", f"{of_project}/webhooks/{self.endpoint}"
        yield "webhook: settings", f"{of_project}/webhooks/{self.endpoint}?show=settings"
        yield "project settings", f"{of_project}/settings"
        yield "projects", "/projects"
        yield "team", "/team"
        yield "all events", "/events"
        yield "installation", "/account"


async def furnish(tx: Transaction, account: str, project: str, ids: list[str], users: list[str]) -> None:
    """What makes pages long: days, refusals, events, and one key that was used every day."""
    now, script = now_ms(), ids[0]
    days = [now - back * DAY_MS for back in range(30)]
    executors = [f"Program {number}" for number in range(20)]
    await tx.execute_each(
        ADD_DAY, [(project, one, utc_day(day), name, 1000) for one in ids for day in days for name in executors]
    )
    codes = ("FINGERPRINT_MISMATCH", "KEY_EXPIRED", "BLACKLISTED", "TOO_MANY_INSTANCES")
    refusals = []
    many = min(REFUSALS, len(users))
    for number in range(many):
        at = now - number * 7 * DAY_MS // many
        refusals.append((users[number], at // DAY_MS, codes[number % len(codes)], script, b"", at, at))
    refusals += [
        (users[7], now // DAY_MS, codes[0], script, bytes([n]) * 32, now - n * HOUR_MS, now) for n in range(1, 20)
    ]
    await tx.execute_each(ADD_REFUSAL, refusals)
    for hour in range(STARTS // STARTS_AN_HOUR):
        at = (now // HOUR_MS - hour) * HOUR_MS
        starts = [new_id() for _ in range(STARTS_AN_HOUR)]
        await tx.execute_each(ADD_START, [(one, script, at + number) for number, one in enumerate(starts)])
        places = f"{hour % 9:064x}{hour % 5:064x}"
        last = "".join(one + places for one in reversed(starts))
        await tx.execute_each(ADD_HOUR, [(users[7], at // HOUR_MS, len(starts), last)])
    await tx.execute_each(
        ADD_USE,
        [
            (users[7], day // DAY_MS, bytes([device]) * 32, bytes([day // DAY_MS % 7]) * 32, day, day)
            for day in days
            for device in range(5)
        ],
    )
    happened = [
        Event(
            id=f"{first_id_at(now - (EVENTS - number) * 1000)}{number:020x}",
            account_id=account,
            project_id=project,
            at=now - (EVENTS - number) * 1000,
            kind="user.edited",
            actor_kind="token",
            actor_id="token",
            actor_name="bot",
            address="192.0.2.7",
            request_id=None,
            resource_kind="user",
            resource_id=users[number % 1000],
            resource_label="AbCd…wXyZ",
            changes={"note": ("before", "after")},
        )
        for number in range(EVENTS)
    ]
    await events.append(tx, happened)


async def furnish_lists(
    tx: Transaction, account: str, project: str, script: str, users: list[str], endpoint: str
) -> None:
    """What is listed beside the keys: builds and who is given which, what is barred, removed and handed over, and people."""
    now = now_ms()
    await tx.execute_each(
        ADD_BUILD, [(script, number, b"payload", now, f"1.{number}") for number in range(1, BUILDS + 1)]
    )
    await tx.execute(ADD_CHANNEL, script=script, name="beta")
    await tx.execute_each(ADD_PIN, [(user, script, now) for user in users[7 : PINS + 7]])
    await tx.execute_each(
        ADD_BAR,
        [
            (project, number.to_bytes(32), user, "network" if number % 5 else "device")
            for number, user in enumerate(users[:BARS])
        ],
    )
    gone = users[-min(REMOVED, len(users) // 10) :]
    for first in range(0, len(gone), AT_ONCE):
        found = await users_table.find_all(tx, project, gone[first : first + AT_ONCE])
        await removed_users.keep(tx, found, now=now, by="developer")
    hook = Endpoint(
        id=endpoint,
        account_id=account,
        project_id=project,
        name="Hook",
        kind="standard",
        shown_url="https://example.com/",
        executions_until=now,
        created_at=now,
    )
    await endpoints.insert(tx, hook)
    await tx.execute_each(ADD_DELIVERY, [(new_id(), endpoint, now - number) for number in range(DELIVERIES)])
    await tx.execute_each(ADD_MEMBER, [(new_id(), account, f"member {number}", now) for number in range(PEOPLE)])
    await tx.execute_each(ADD_TOKEN, [(new_id(), account, new_id().encode(), now) for _ in range(PEOPLE)])


@contextlib.asynccontextmanager
async def opened_shop(folder: Path, keys: int, sessions: int) -> AsyncIterator[Shop]:
    settings = Settings(data_dir=folder, management={"requests_per_second": 1e6, "burst": 1_000_000})
    async with open_moonlatch(settings) as moonlatch:
        first = await first_account(moonlatch.world, tier="unlimited")
        assert first is not None
        account = first.account.id
        project = Project(id=new_id(), account_id=account, name="Many", created_at=1)
        made = [
            Script(
                id=new_id(),
                project_id=project.id,
                name=f"Script {number}",
                created_at=number,
                total_executions=1,
                enabled=True,
                build=1,
            )
            for number in range(SCRIPTS)
        ]

        async def add(tx: Transaction) -> None:
            await projects.insert(tx, project)
            for script in made:
                await scripts.insert(tx, script)

        await moonlatch.database.run(add)
        _, users = await add_users(moonlatch.database, MasterKeySource(folder).open(), project.id, keys)
        ids = [script.id for script in made]
        await moonlatch.database.run(lambda tx: furnish(tx, account, project.id, ids, users))
        endpoint = new_id()
        await moonlatch.database.run(lambda tx: furnish_lists(tx, account, project.id, ids[0], users, endpoint))
        hub = moonlatch.live._hub  # noqa: SLF001 -- so many sockets are more than a process may open
        # Others are disconnected when they are next looked at.
        valid = [user for number, user in enumerate(users) if number % EVERY not in (1, 2)]
        for member in members(ids[0], project.id, valid, sessions):
            hub.add(member)
        listener = loopback_listener()
        server = uvicorn.Server(
            uvicorn.Config(moonlatch.application, http=moonlatch.http_transport, lifespan="off", log_level="warning")
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Shop(
                f"http://127.0.0.1:{listener.getsockname()[1]}", first.token, project.id, ids[0], users[7], endpoint
            )
        finally:
            for member in hub.all():
                hub.remove(member.session.id)
            moonlatch.readiness.is_draining = True
            server.should_exit = True
            await serving


def opened_in_ms(visit: Visit, place: str) -> float:
    """One opening of a page by a browser that has shown nothing else."""
    visit.page.goto(f"{visit.url}/dashboard/#/me")
    visit.page.reload()
    visit.page.locator('main[data-place="/me"] h1').wait_for()
    # What the page fetched for itself has come, in its spare time too, and the stream of news has begun: nobody clicks sooner.
    visit.page.wait_for_timeout(600)
    took: float = visit.page.evaluate(OPENED, place)
    return took


def clicked(shop: Shop, rounds: int, only: str = "") -> dict[str, list[float]]:
    """Milliseconds by page, of those whose names hold one of the words of `only`, which are parted by commas."""
    found: dict[str, list[float]] = {}
    with running_browser() as browser, open_page(browser, shop.url, shop.token) as visit:
        visit.sign_in()
        for name, place in shop.places():
            if not any(word in name for word in only.split(",")):
                continue
            opened_in_ms(visit, place)  # its files are fetched for the first time
            found[name] = [opened_in_ms(visit, place) for _ in range(rounds)]
            print(
                f"  {name:28} {statistics.median(found[name]):6.0f} ms, {min(found[name]):.0f} to {max(found[name]):.0f}",
                flush=True,
            )
    return found


async def measured(folder: Path, keys: int, sessions: int, rounds: int, only: str) -> dict[str, list[float]]:
    async with opened_shop(folder, keys, sessions) as shop:
        return await asyncio.to_thread(clicked, shop, rounds, only)


def measure_each(rounds: int = ROUNDS, keys: int = KEYS, sessions: int = SESSIONS, only: str = "") -> list[Figure]:
    """Every page, or those that `clicked` picks by `only`. Raises NotThereError."""
    try:
        executable()
    except AssertionError as missing:
        raise NotThereError(str(missing)) from missing
    print(f"from click to content among {keys:,} keys and {sessions:,} sessions:")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measured(Path(folder), keys, sessions, rounds, only))
    return [
        Figure(name, f"median of {rounds}, {min(took):.0f} to {max(took):.0f}", statistics.median(took), GOAL_MS, "ms")
        for name, took in found.items()
    ]


def measure(rounds: int = ROUNDS, keys: int = KEYS, sessions: int = SESSIONS) -> list[Figure]:
    """The page that takes longest. Raises NotThereError."""
    slowest = max(measure_each(rounds, keys, sessions), key=lambda figure: figure.value)
    return [replace(slowest, what="a page of the dashboard", measured=f"slowest is {slowest.what!r}")]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--keys", type=int, default=KEYS)
    arguments.add_argument("--sessions", type=int, default=SESSIONS)
    arguments.add_argument("--only", default="", help="words of the names of pages, parted by commas")
    given = arguments.parse_args()
    return print_table(measure_each(given.rounds, given.keys, given.sessions, given.only))


if __name__ == "__main__":
    sys.exit(main())
