"""The composition root: the only module that names concrete engines. It builds the graph and takes it apart again."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from moonlatch import __version__
from moonlatch.builds.pool import WorkerPool
from moonlatch.builds.publisher import LoaderRecipe, Publisher
from moonlatch.builds.workshop import Workshop
from moonlatch.checkpoints.face import Checkpoints
from moonlatch.checkpoints.face import is_below as is_checkpoint
from moonlatch.checkpoints.face import route_of as checkpoint_route_of
from moonlatch.checkpoints.providers import AT_ONCE as PROVIDERS_AT_ONCE
from moonlatch.checkpoints.providers import Providers
from moonlatch.client.loader_source import LOADER_VERSION, library_source, loader_source, missing_loader_source
from moonlatch.client.protocol import (
    BEAT,
    CALL,
    CALL_PATH,
    EXECUTE_PATH,
    HEARTBEAT_PATH,
    READ,
    REPORT,
    REPORT_PATH,
    START,
    VARIABLE_PATH,
    ClientProtocol,
)
from moonlatch.client.reports import ReportLog
from moonlatch.client.sharing import SharingWatch
from moonlatch.clock import SteadyClock, now_ms
from moonlatch.config import Settings
from moonlatch.config.sections import ConnectionSettings
from moonlatch.dashboard import face
from moonlatch.dashboard.assets import built_assets
from moonlatch.discord.channel_sync import ChannelSync
from moonlatch.discord.face import PATH as INTERACTIONS_PATH
from moonlatch.discord.face import DiscordFace
from moonlatch.discord.registering import watch_registrations
from moonlatch.discord.role_sync import RoleSync
from moonlatch.jobs.expiry import watch_expiry
from moonlatch.jobs.releases import watch_releases
from moonlatch.jobs.retention import (
    ANSWERS_KEPT,
    DELIVERIES_KEPT,
    ERRORS_KEPT,
    INTERACTIONS_KEPT,
    REMOVED_USERS_KEPT,
    VISITS_KEPT,
    detail_kept,
    events_kept,
    sign_ins_kept,
    watch_retention,
)
from moonlatch.jobs.rewrapping import watch_rewrapping
from moonlatch.licensing.verdict import Policy
from moonlatch.live.interface import LiveEngine
from moonlatch.live.memory import LocalLive
from moonlatch.luraph.engine import LuraphEngine, luraph_client
from moonlatch.management.application import management_app
from moonlatch.management.readiness import About, Engine, Readiness, answers
from moonlatch.metrics.counts import Traffic
from moonlatch.metrics.exposition import Counts, Exposition, GrantedCalls, Reading
from moonlatch.operations.calls import AT_ONCE as FUNCTIONS_AT_ONCE
from moonlatch.operations.context import World
from moonlatch.private_files import make_private_folder, open_private
from moonlatch.storage import installation, master_keys
from moonlatch.storage.engines import open_database
from moonlatch.storage.interface import Database
from moonlatch.storage.sqlite.engine import SqliteDatabase
from moonlatch.web.address import Addresses
from moonlatch.web.counted import counted
from moonlatch.web.direct import DirectTransport
from moonlatch.web.discord_api import DiscordApi
from moonlatch.web.limits import RateLimits, limits_of_this_process
from moonlatch.web.outgoing import MOST_IDLE, Outgoing
from moonlatch.web.reach import ANYWHERE, Reach
from moonlatch.webhooks.deliverer import Deliverer
from moonlatch.webhooks.starts import watch_starts

if TYPE_CHECKING:  # a server that is alone does not need the library
    from moonlatch.storage.postgres.engine import PostgresDatabase

LOCK_NAME = ".server.lock"
"""In the data folder; locked while a server runs on it."""

FILES_OF_OTHERS = 128
"""Open files that are no connections of clients: the database's, the log, listeners, calls to other services."""

FILES_OF_A_WORKER = 4
FEWEST_CONNECTIONS = 64
_FEWEST_CALLS = 16

logger = logging.getLogger(__name__)

_DASHBOARD_ROUTE = "/dashboard/{file}"
_OUR_PATHS = ("/loader/", "/client/", "/library.lua")
_VISITORS_STYLE = "assets/visit-"
"""How the built file begins that holds the style of the visitors' page."""


@dataclass(frozen=True, slots=True)
class Moonlatch:
    """A whole installation, opened: what the server serves, and what the first start needs."""

    settings: Settings
    world: World
    database: Database
    live: LiveEngine
    publisher: Publisher
    application: ASGIApp
    http_transport: type[DirectTransport]
    readiness: Readiness
    exposition: Exposition


class FolderInUseError(Exception):
    """Another server runs with the same data folder."""


@contextlib.asynccontextmanager
async def open_moonlatch(settings: Settings) -> AsyncIterator[Moonlatch]:
    """Open the data folder (creating it) and build everything on it; at the end everything is closed.

    Raises OSError for a folder that cannot be used, FolderInUseError, ValueError for a broken or lost master key, StorageError,
    MissingExtraError for settings that need a library which is not installed.
    """
    make_private_folder(settings.data_dir)
    policy = Policy(account_grace_days=settings.client.account_grace_days)
    async with contextlib.AsyncExitStack() as closing:
        if not settings.is_shared:
            closing.enter_context(data_folder_locked(settings.data_dir))
        database = await open_database(settings)
        closing.push_async_callback(database.close)
        master_key = settings.master_key
        if not master_key.exists and await installation.needs_master_key(database):
            raise ValueError(
                f"{master_key.place} is missing, but loaders were made and keys of users sealed with it: "
                "without it no published script can start"
            )
        keyring = await master_keys.arranged(
            database,
            await asyncio.to_thread(master_key.open),
            master_key.place,
            is_alone=settings.is_alone,
            now=now_ms(),
        )
        workers = WorkerPool(settings.protector)
        closing.push_async_callback(workers.close)
        live, limits = await _open_live(settings, database, policy, closing)
        http = luraph_client()
        closing.push_async_callback(http.close)
        remote = LuraphEngine(http, settings.luraph)
        room = room_for(settings)
        outgoing = Outgoing(Reach(settings.webhooks.allow_networks), keeps_connections=True, most_idle=room.idle)
        closing.push_async_callback(outgoing.close)
        # Where that is, the operator says.
        to_discord = Outgoing(ANYWHERE, keeps_connections=True)
        closing.push_async_callback(to_discord.close)
        workshop = Workshop(database=database, keyring=keyring, workers=workers, remote=remote)
        publisher = Publisher(
            database=database,
            workshop=workshop,
            public_url=settings.public_url,
            keyring=keyring,
            loader=LoaderRecipe(LOADER_VERSION, loader_source),
            profile=settings.protector.profile,
            clock=now_ms,
        )
        about = About(
            settings.public_url,
            [
                Engine(
                    "database",
                    "postgresql" if settings.database_url.get_secret_value() else "sqlite",
                    lambda: answers(database),
                ),
                # Asked what it can only answer when it sees all there is.
                Engine("live", "redis" if settings.redis_url.get_secret_value() else "memory", lambda: live.counts("")),
            ],
        )
        readiness = Readiness({"database": lambda: answers(database)})
        exposition = Exposition(Counts())
        world = World(
            database=database,
            keyring=keyring,
            tiers=settings.tiers,
            clock=now_ms,
            live=live,
            publisher=publisher,
            signing_in=settings.sign_in_rules,
            outgoing=outgoing,
            discord=DiscordApi(
                to_discord,
                settings.discord.base_url,
                agent=f"DiscordBot ({settings.public_url}, {__version__})",
                timeout_seconds=settings.discord.timeout_seconds,
            ),
        )
        management = management_app(
            world=world,
            live=live,
            publisher=publisher,
            settings=settings.management,
            about=about,
            readiness=readiness,
            exposition=exposition,
            metrics_token=settings.metrics.token.get_secret_value(),
            limits=limits,
        )
        reports = ReportLog(world)
        closing.push_async_callback(reports.close)
        client = ClientProtocol(
            database=database,
            live=live,
            keyring=keyring,
            clock=now_ms,
            missing_loader_source=missing_loader_source,
            reports=reports,
            settings=settings.client,
            connections=room.connections,
            trusted_proxies=settings.trusted_proxies,
            limits=limits,
            watch=SharingWatch(world),
            library=library_source(settings.public_url),
            world=world,
            most_asked=room.functions,
        )
        closing.push_async_callback(client.history.close)
        discord = DiscordFace(world, settings.public_url, limits)
        closing.push_async_callback(discord.aclose)
        _expose(
            counts=exposition.counts,
            client=client,
            publisher=publisher,
            workers=workers,
            live=live,
            database=database,
        )
        deliverer = Deliverer(
            world,
            outgoing,
            timeout_seconds=settings.webhooks.timeout_seconds,
            most=room.webhooks,
            is_alone=not settings.is_shared,
        )
        exposition.counts.deliveries = deliverer.counts
        jobs = {
            "expiry": watch_expiry(world, live.takes_turn),
            "releases": watch_releases(world, live.takes_turn),
            "webhooks": deliverer.run(),
            "starts for webhooks": watch_starts(world),
            "discord registrations": watch_registrations(world, settings.public_url, live.takes_turn),
            "discord roles": RoleSync(world).run(),
            "discord channels": ChannelSync(world).run(),
        }
        kept = [
            ANSWERS_KEPT,
            INTERACTIONS_KEPT,
            DELIVERIES_KEPT,
            *ERRORS_KEPT,
            REMOVED_USERS_KEPT,
            *VISITS_KEPT,
            *sign_ins_kept(settings.sign_in_rules),
        ]
        if settings.retention.detail_days:
            kept.extend(detail_kept(settings.retention.detail_days))
        if settings.retention.event_days:
            kept.append(events_kept(settings.retention.event_days))
        jobs["retention"] = watch_retention(database, now_ms, kept)
        if keyring.older:
            logger.info("the master key in use is %s, beside %d others", keyring.current.id, len(keyring.older))
            jobs["rewrapping"] = watch_rewrapping(database, keyring, now_ms, live.takes_turn)
        for name, job in jobs.items():
            closing.push_async_callback(_cancelled, asyncio.create_task(job, name=name))
        addresses = Addresses(settings.trusted_proxies)
        dashboard = face.Dashboard(assets := built_assets())
        checkpoints = Checkpoints(
            world=world,
            providers=Providers(outgoing, settings.checkpoints, now_ms, most=room.providers),
            settings=settings.checkpoints,
            public_url=settings.public_url,
            addresses=addresses,
            limits=limits,
            style=next((asset.body for name, asset in assets.items() if name.startswith(_VISITORS_STYLE)), b""),
        )
        yield Moonlatch(
            settings=settings,
            world=world,
            database=database,
            live=live,
            publisher=publisher,
            application=_dispatcher(_Faces(client, management, dashboard, checkpoints, discord), addresses, exposition),
            http_transport=client.http_transport(),
            readiness=readiness,
            exposition=exposition,
        )


async def _open_live(
    settings: Settings, database: Database, policy: Policy, closing: contextlib.AsyncExitStack
) -> tuple[LiveEngine, RateLimits]:
    """Who is connected, and how often anybody may ask: for this process alone, or together with others."""
    url = settings.redis_url.get_secret_value()
    seconds, most = settings.client.heartbeat_seconds, settings.client.max_sessions
    if not url:
        leases = SteadyClock()
        ticking = asyncio.create_task(leases.run(), name="leases")
        closing.push_async_callback(_cancelled, ticking)
        local = LocalLive(
            database=database,
            clock=now_ms,
            policy=policy,
            heartbeat_seconds=seconds,
            max_sessions=most,
            lease_clock=leases,
            since=now_ms(),
        )
        closing.push_async_callback(local.close_all)
        return local, limits_of_this_process()
    from moonlatch.live.redis import RedisLive
    from moonlatch.live.redis_directory import RedisDirectory
    from moonlatch.live.shared_limits import limits_in

    directory = RedisDirectory(url, settings.redis.prefix, settings.redis.deadline_seconds)
    shared = RedisLive(
        directory=directory,
        database=database,
        clock=now_ms,
        policy=policy,
        heartbeat_seconds=seconds,
        max_sessions=most,
    )
    closing.push_async_callback(shared.close)
    closing.push_async_callback(shared.close_all)
    await shared.start()
    return shared, limits_in(directory)


@dataclass(frozen=True, slots=True)
class Room:
    """What the open files are shared out among: calls of each kind at once, connections that are kept for the next call, and those of clients."""

    webhooks: int
    functions: int
    providers: int
    idle: int
    connections: ConnectionSettings


def room_for(settings: Settings) -> Room:
    """As much as is set, or as the open files are enough for: none of it takes what another needs."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        files = sys.maxsize

    def share(most: int, files_for_one: int) -> int:
        return min(most, max(_FEWEST_CALLS, files // files_for_one))

    webhooks, functions = share(settings.webhooks.most_at_once, 8), share(FUNCTIONS_AT_ONCE, 16)
    providers, idle = share(PROVIDERS_AT_ONCE, 32), share(MOST_IDLE, 32)
    others = FILES_OF_OTHERS + settings.database.max_connections + FILES_OF_A_WORKER * settings.protector.workers
    left = max(FEWEST_CONNECTIONS, files - others - webhooks - functions - providers - idle)
    if left < settings.connections.most:
        logger.info("%d open files are enough for %d connections, not for connections.most", files, left)
    connections = settings.connections.model_copy(update={"most": min(settings.connections.most, left)})
    return Room(webhooks, functions, providers, idle, connections)


def _expose(
    *,
    counts: Counts,
    client: ClientProtocol,
    publisher: Publisher,
    workers: WorkerPool,
    live: LiveEngine,
    database: SqliteDatabase | PostgresDatabase,
) -> None:
    """Show the parts' counts in the metrics."""
    counts.traffic.append(client.traffic)
    counts.verdicts = client.verdicts
    counts.granted = (
        GrantedCalls(START, "POST", EXECUTE_PATH),
        GrantedCalls(BEAT, "POST", HEARTBEAT_PATH),
        GrantedCalls(READ, "POST", VARIABLE_PATH),
        GrantedCalls(CALL, "POST", CALL_PATH),
        GrantedCalls(REPORT, "POST", REPORT_PATH),
    )
    counts.builds = publisher.counts
    counts.commit_units = database.batches
    counts.gauges += [
        Reading("sessions_open", "Live sessions whose sockets this process holds.", lambda: live.open_sessions),
        Reading("instances_alive", "Running copies that this process knows of.", lambda: live.alive_instances),
        Reading("writes_waiting", "Units of work that wait for their commit.", lambda: database.waiting),
        Reading("builds_admitted", "Updates that work or wait for a worker process.", lambda: workers.admitted),
        Reading("build_workers", "Worker processes that run.", lambda: len(workers.process_ids)),
    ]
    counts.counters.append(
        Reading("connections_refused", "Connections that found no place.", lambda: client.connections.refused)
    )


@dataclass(frozen=True, slots=True)
class _Faces:
    """Everything that answers requests."""

    client: ASGIApp
    management: ASGIApp
    dashboard: ASGIApp
    checkpoints: ASGIApp
    discord: ASGIApp


def _dispatcher(faces: _Faces, addresses: Addresses, exposition: Exposition) -> ASGIApp:
    """Running scripts, Discord and pages before any framework, developers through FastAPI."""
    exposition.counts.traffic.append(traffic := Traffic())
    dashboard = counted(faces.dashboard, traffic, lambda _: _DASHBOARD_ROUTE)
    checkpoints = counted(faces.checkpoints, traffic, checkpoint_route_of)
    discord = counted(faces.discord, traffic, lambda _: INTERACTIONS_PATH)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" or scope["path"].startswith(_OUR_PATHS):
            await faces.client(scope, receive, send)
        elif scope["type"] == "http" and face.is_below(scope["path"]):
            await dashboard(scope, receive, send)
        elif scope["type"] == "http" and is_checkpoint(scope["path"]):
            await checkpoints(scope, receive, send)
        else:
            face_of = discord if scope["path"] == INTERACTIONS_PATH else faces.management
            await face_of({**scope, "client": (addresses.of(scope["client"], scope["headers"]), 0)}, receive, send)

    return dispatch


@contextlib.contextmanager
def data_folder_locked(folder: Path) -> Iterator[None]:
    """One server for a data folder: live sessions are known to their own process alone. The command line is not kept out."""
    with open_private(folder / LOCK_NAME) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have removed it, and then it keeps nobody out.
            is_locked = os.path.samestat(os.fstat(lock.fileno()), (folder / LOCK_NAME).stat())
        except (BlockingIOError, FileNotFoundError):
            is_locked = False
        if not is_locked:
            raise FolderInUseError(f"another server is running with the data folder {folder}")
        yield


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
