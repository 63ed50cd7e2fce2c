"""Puts the management API together from its parts, which are all given. Starts and owns nothing."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from moonlatch.builds.publisher import Publisher
from moonlatch.clock import monotonic_seconds
from moonlatch.config.sections import ManagementSettings
from moonlatch.live.interface import Live
from moonlatch.management import (
    account,
    ad_systems,
    bars,
    builds,
    bulk_users,
    channels,
    discord,
    docs_page,
    endpoints,
    envelope,
    events,
    health,
    instances,
    licences,
    loaders,
    members,
    metrics,
    news,
    own_account,
    projects,
    protection,
    remotes,
    removed_users,
    rollouts,
    scheduled_builds,
    script_errors,
    scripts,
    server,
    sessions,
    sign_in,
    traces,
    user_counts,
    user_devices,
    user_history,
    users,
    variables,
)
from moonlatch.management.backend import Backend
from moonlatch.management.documents import openapi
from moonlatch.management.gate import CallLimits, Gate
from moonlatch.management.last_uses import LastUses
from moonlatch.management.newsroom import Newsroom
from moonlatch.management.readiness import About, Engine, Readiness, answers
from moonlatch.management.sign_in_limits import FailedSignIns, SignInLimits, SignInRates
from moonlatch.metrics.counts import Traffic
from moonlatch.metrics.exposition import Counts, Exposition
from moonlatch.operations.context import World
from moonlatch.operations.passwords import Passwords
from moonlatch.storage import member_sessions, tokens
from moonlatch.web.limits import Buckets, NetworkLimit, RateLimits, limits_of_this_process
from moonlatch.web.origin import Origins
from moonlatch.web.turns import Turns

DEADLINE_SECONDS = 100.0
FAILURES_PER_SECOND = 1.0
FAILURES_BURST = 20
LICENCES_PER_SECOND = 1.0
LICENCES_BURST = 10
"""Of an account: each is an answer of a whole build of its own, which is held until its caller has read it."""

REFUSALS_PER_SECOND = 1 / 60
"""Events of one actor's refusals for lack of one permission, and of failures to sign in as one member."""

ROUTERS = (
    scripts.router,
    builds.router,
    channels.router,
    rollouts.router,
    scheduled_builds.router,
    loaders.router,
    protection.router,
    projects.router,
    users.router,
    user_devices.router,
    user_history.router,
    removed_users.router,
    user_counts.router,
    bulk_users.router,
    bars.router,
    sessions.router,
    instances.router,
    licences.router,
    account.router,
    server.router,
    members.router,
    own_account.router,
    sign_in.router,
    endpoints.router,
    ad_systems.router,
    discord.router,
    variables.router,
    remotes.router,
    script_errors.router,
    traces.router,
    events.router,
    news.router,
    health.router,
    metrics.router,
    docs_page.router,
)


def management_app(
    *,
    world: World,
    live: Live,
    publisher: Publisher,
    settings: ManagementSettings | None = None,
    failures_per_second: float = FAILURES_PER_SECOND,
    failures_burst: int = FAILURES_BURST,
    deadline_seconds: float = DEADLINE_SECONDS,
    monotonic: Callable[[], float] = monotonic_seconds,
    about: About | None = None,
    readiness: Readiness | None = None,
    exposition: Exposition | None = None,
    metrics_token: str = "",
    limits: RateLimits | None = None,
    sign_in_rates: SignInRates | None = None,
) -> FastAPI:
    """The API as an ASGI application. `monotonic` gives seconds.

    Each API token may make as many calls as `settings` say, and so may each address without a token; an address that
    presents bad tokens has `failures_per_second` (`failures_burst` at once) for those. Addresses are those of the ASGI
    scope: who knows of proxies must have put them right.

    `about` is what the API says of the server itself. `readiness` is by default that of the database, `exposition` that of the API's own calls.
    """
    settings = settings or ManagementSettings()
    limit = limits or limits_of_this_process(monotonic)
    readiness = readiness or Readiness({"database": lambda: answers(world.database)})
    backend = Backend(
        world=world,
        live=live,
        publisher=publisher,
        max_body_bytes=settings.max_body_bytes,
        about=about or About("", [Engine("live", "memory", lambda: live.counts(""))]),
        readiness=readiness,
        exposition=exposition or Exposition(Counts()),
        metrics_token=metrics_token,
        token_uses=LastUses(
            world.database, lambda tx, used, at, address: tokens.note_use(tx, used, at=at, address=address)
        ),
        session_uses=LastUses(
            world.database, lambda tx, used, at, address: member_sessions.note_use(tx, used, at=at, address=address)
        ),
        refusals_noted=Buckets(per_second=REFUSALS_PER_SECOND, burst=1, monotonic_seconds=monotonic),
        origins=Origins(world.signing_in.url),
        passwords=Passwords(),
        sign_in_limits=SignInLimits.of(limit, sign_in_rates or SignInRates()),
        failed_sign_ins=FailedSignIns(world, limit("failed sign-in", per_second=REFUSALS_PER_SECOND, burst=1)),
        newsroom=Newsroom(world.database, live, is_ending=lambda: readiness.is_draining),
        licences_made=limit("licence", per_second=LICENCES_PER_SECOND, burst=LICENCES_BURST),
        turns=Turns(),
    )
    traffic = Traffic()
    backend.exposition.counts.traffic.append(traffic)
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # The routes themselves, not routers: 405 and the access log need to see them all.
        routes=[route for router in ROUTERS for route in router.routes],
    )
    app.state.backend = backend
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    envelope.install(app)
    app.add_middleware(
        Gate,
        backend=backend,
        limits=CallLimits(
            per_token=limit("token", per_second=settings.requests_per_second, burst=settings.burst),
            per_address=NetworkLimit(limit, "address", per_second=settings.requests_per_second, burst=settings.burst),
            failures=NetworkLimit(limit, "failure", per_second=failures_per_second, burst=failures_burst),
        ),
        deadline_seconds=deadline_seconds,
        monotonic_seconds=monotonic,
        traffic=traffic,
    )
    return app
