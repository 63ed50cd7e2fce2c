"""Ad systems: the pages at which visitors earn keys, and their steps."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from pydantic import ConfigDict, Field

from moonlatch.clock import DAY_MS, MINUTE_MS
from moonlatch.licensing.checkpoints import (
    EARLIER_PASSES,
    MOST_STEPS,
    PROVIDERS,
    RECENT_PASSES,
    ProviderName,
    median_seconds,
)
from moonlatch.licensing.roles import Permission
from moonlatch.management.ad_system_views import (
    AdStepReply,
    AdStepSecretsReply,
    AdStepStatistics,
    AdStepView,
    AdSystemReply,
    AdSystemsReply,
    AdSystemView,
    NewAdSystemReply,
    ProvidersReply,
    WholeAdSystemReply,
    provider_fields,
)
from moonlatch.management.auth import CurrentCaller
from moonlatch.management.backend import Backend, CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import MAX_COUNT, Clean, Closed, Edit, Empty, Id, Integral, Name, OneOf
from moonlatch.management.owned import OwnedAdStep, OwnedAdSystem
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Success
from moonlatch.management.routes import needs, resource_router
from moonlatch.operations import ad_systems as operations
from moonlatch.operations.changing import Change
from moonlatch.operations.refusals import NotFound, Reason, Refused
from moonlatch.storage import ad_attempts, ad_systems
from moonlatch.storage.ad_systems import AdStep, AdSystem

router = resource_router("checkpoints")

# As the service has them whose API this is: the account comes second at one of its endpoints.
MAX_SYSTEMS = DocumentedError(0, Reason.MAX_AD_SYSTEMS, 403)
EXPIRED_ACCOUNT = DocumentedError(1, Reason.ACCOUNT_EXPIRED, 403)
CANNOT_USE_PROJECT = DocumentedError(2, Reason.CANNOT_USE_PROJECT, 404)
CANNOT_EDIT_NOTHING = DocumentedError(1, Reason.NOTHING_TO_EDIT, 400)
MAX_STEPS = DocumentedError(1, Reason.MAX_AD_STEPS, 403)

MOST_SYSTEMS = 1_000
"""That a list shows; there are at most twenty in a project."""

_LONGEST = 366 * DAY_MS
_SHORTEST = MINUTE_MS

Duration = Annotated[int, Field(ge=_SHORTEST, le=_LONGEST), Integral]
Keys = Annotated[int, Field(ge=1, le=100), Integral]
DailyKeys = Annotated[int, Field(ge=1, le=MAX_COUNT), Integral]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{2,38}[a-z0-9]$")]
Number = Annotated[int, Field(ge=1, le=MOST_STEPS), Integral]
Seconds = Annotated[int, Field(ge=0, le=600), Integral]
Settings = Annotated[
    dict[str, Annotated[str, Field(max_length=1_600), Clean]],
    Field(max_length=10, description="as `GET /ads/providers` names them"),
]

_DURATION = "how long a key is good for, in milliseconds"
_MAX_KEYS = "keys that a visitor may have at once"
_EXTENDING = "visitors who have a key may go through the steps again to make it last longer"
_MAX_DURATION = "the longest that a key may still last when it is extended, in milliseconds"
_NETWORK = "keys per day for all visitors of one network (IPv4 /24, IPv6 /48)"
_DEVICE = "keys per day for one browser, and for one device that starts them"
_MINIMUM = "seconds within which nobody can be through: who is back sooner has to go again"


class NewAdSystem(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"project_id": "PROJECT_ID", "name": "Free keys"}]})

    project_id: Id
    name: Name
    slug: Annotated[Slug | None, Field(description="where the page stands below `/get/`; one is made up")] = None
    key_duration: Annotated[Duration, Field(description=_DURATION)] = DAY_MS
    max_keys: Annotated[Keys, Field(description=_MAX_KEYS)] = 1
    allow_extending: Annotated[bool, Field(description=_EXTENDING)] = True
    max_duration: Annotated[Duration, Field(description=_MAX_DURATION)] = 7 * DAY_MS
    network_daily_keys: Annotated[DailyKeys, Field(description=_NETWORK)] = 20
    device_daily_keys: Annotated[DailyKeys, Field(description=_DEVICE)] = 3


class EditAdSystem(Edit):
    model_config = ConfigDict(json_schema_extra={"examples": [{"max_keys": 2}]})

    name: Name | None = None
    enabled: Annotated[bool | None, Field(description="off: the page gives no keys; those there are stay")] = None
    key_duration: Annotated[Duration | None, Field(description=_DURATION)] = None
    max_keys: Annotated[Keys | None, Field(description=_MAX_KEYS)] = None
    allow_extending: Annotated[bool | None, Field(description=_EXTENDING)] = None
    max_duration: Annotated[Duration | None, Field(description=_MAX_DURATION)] = None
    network_daily_keys: Annotated[DailyKeys | None, Field(description=_NETWORK)] = None
    device_daily_keys: Annotated[DailyKeys | None, Field(description=_DEVICE)] = None


class NewAdStep(Closed):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"provider": "custom", "settings": {"url": "https://example.com/gate"}}]}
    )

    provider: Annotated[str, OneOf(ProviderName)]
    settings: Settings
    number: Annotated[
        Number | None,
        Field(
            description="of a step that is there: another way through it, for when the first does not work; null: a new last step"
        ),
    ] = None
    minimum_seconds: Annotated[Seconds, Field(description=_MINIMUM)] = 10


class EditAdStep(Edit):
    model_config = ConfigDict(json_schema_extra={"examples": [{"minimum_seconds": 20}]})

    settings: Annotated[Settings | None, Field(description='those left out stay; `""` takes one away')] = None
    minimum_seconds: Annotated[Seconds | None, Field(description=_MINIMUM)] = None
    enabled: Annotated[bool | None, Field(description="off: nobody is sent this way")] = None


@router.get(
    "/ads/providers", summary="List the providers of checkpoints", openapi_extra=needs(Permission.CHECKPOINTS_READ)
)
async def list_ad_providers(_caller: CurrentCaller) -> ProvidersReply:
    """What a step of each is set up with."""
    return ProvidersReply(providers={name: provider_fields(each) for name, each in PROVIDERS.items()})


@router.get("/ads/systems", summary="List the account's ad systems", openapi_extra=needs(Permission.CHECKPOINTS_READ))
async def list_ad_systems(call: CurrentReading) -> AdSystemsReply:
    """Oldest first, of the projects that the caller reaches."""
    found = await ad_systems.list_of_account(call.backend.database, call.actor.account_id, most=MOST_SYSTEMS)
    url = call.backend.about.public_url
    return AdSystemsReply(systems=[AdSystemView.of(each, url) for each in found if call.actor.reaches(each.project_id)])


@router.post(
    "/ads/systems/new",
    summary="Create an ad system",
    responses=refusing(MAX_SYSTEMS, EXPIRED_ACCOUNT, CANNOT_USE_PROJECT),
    openapi_extra=needs(Permission.CHECKPOINTS_WRITE),
)
async def create_ad_system(
    new: Annotated[NewAdSystem, Depends(JsonBody(NewAdSystem))], call: CurrentCall
) -> NewAdSystemReply:
    """It gives no keys before it has a step."""
    settings = new.model_dump(exclude={"project_id"})

    async def create(change: Change) -> AdSystem:
        try:
            return await operations.create(change, new.project_id, **settings)
        except NotFound:
            raise Refused(Reason.CANNOT_USE_PROJECT) from None

    url = call.backend.about.public_url
    return await call.change(
        create,
        lambda made: NewAdSystemReply(system_id=made.id, system=AdSystemView.of(made, url)),
        version=operations.version,
    )


@router.get("/ads/systems/{system_id}", summary="Get an ad system", openapi_extra=needs(Permission.CHECKPOINTS_READ))
async def get_ad_system(system: OwnedAdSystem, call: CurrentReading) -> WholeAdSystemReply:
    """With its steps, and how they go."""
    backend, since = call.backend, call.backend.clock() - DAY_MS
    steps = await ad_systems.steps_of(backend.database, system.id)
    counted = await ad_attempts.statistics(backend.database, system.id, since=since)
    statistics = []
    for step in steps:
        took = await ad_attempts.durations(backend.database, step.id, most=RECENT_PASSES + EARLIER_PASSES)
        begun, done = counted.get(step.id, (0, 0))
        statistics.append(
            AdStepStatistics(
                step_id=step.id, begun=begun, done=done, median_seconds=median_seconds(took), hurried_at=step.hurried_at
            )
        )
    call.tag(operations.version(system))
    return WholeAdSystemReply(
        system=AdSystemView.of(system, backend.about.public_url),
        steps=[_view(backend, step) for step in steps],
        statistics=statistics,
        keys_today=await ad_attempts.count_grants(backend.database, system.id, since=since),
    )


@router.post(
    "/ads/systems/{system_id}/edit",
    summary="Edit an ad system",
    responses=refusing(ACCOUNT_EXPIRED, CANNOT_EDIT_NOTHING),
    openapi_extra=needs(Permission.CHECKPOINTS_WRITE, is_conditional=True),
)
async def edit_ad_system(
    system: OwnedAdSystem, edit: Annotated[EditAdSystem, Depends(JsonBody(EditAdSystem))], call: CurrentCall
) -> AdSystemReply:
    """Fields left out or null stay as they are; so do keys that were given."""
    url = call.backend.about.public_url
    return await call.change(
        lambda change: operations.edit(change, system.id, edit.changes()),
        lambda changed: AdSystemReply(system=AdSystemView.of(changed, url)),
        version=operations.version,
    )


@router.post(
    "/ads/systems/{system_id}/remove",
    summary="Remove an ad system",
    openapi_extra=needs(Permission.CHECKPOINTS_WRITE, is_conditional=True),
)
async def remove_ad_system(
    system: OwnedAdSystem, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """With its steps and the attempts at them. Keys that were earned there stay."""
    return await call.change(lambda change: operations.remove(change, system.id), lambda _: Success())


@router.post(
    "/ads/systems/{system_id}/steps",
    summary="Add a step to an ad system",
    responses=refusing(ACCOUNT_EXPIRED, MAX_STEPS),
    openapi_extra=needs(Permission.CHECKPOINTS_WRITE),
)
async def add_ad_step(
    system: OwnedAdSystem, new: Annotated[NewAdStep, Depends(JsonBody(NewAdStep))], call: CurrentCall
) -> AdStepSecretsReply:
    """What the provider has to know is in the reply."""
    return await call.change(
        lambda change: operations.add_step(
            change,
            system.id,
            provider=ProviderName(new.provider),
            settings=new.settings,
            number=new.number,
            minimum_seconds=new.minimum_seconds,
        ),
        lambda step: _with_secrets(call.backend, step),
        version=operations.step_version,
    )


@router.post(
    "/ads/steps/{step_id}/edit",
    summary="Edit a step of an ad system",
    responses=refusing(ACCOUNT_EXPIRED, CANNOT_EDIT_NOTHING),
    openapi_extra=needs(Permission.CHECKPOINTS_WRITE, is_conditional=True),
)
async def edit_ad_step(
    step: OwnedAdStep, edit: Annotated[EditAdStep, Depends(JsonBody(EditAdStep))], call: CurrentCall
) -> AdStepReply:
    """Fields left out or null stay as they are. Visitors who are on their way notice nothing."""
    changes = {name: value for name, value in edit.changes().items() if name != "settings"}
    return await call.change(
        lambda change: operations.edit_step(change, step.id, changes, edit.settings),
        lambda changed: AdStepReply(step=_view(call.backend, changed)),
        version=operations.step_version,
    )


@router.get(
    "/ads/steps/{step_id}/secrets",
    summary="Show what a step's provider has to know",
    openapi_extra=needs(Permission.CHECKPOINTS_WRITE),
)
async def get_step_secrets(step: OwnedAdStep, backend: CurrentBackend) -> AdStepSecretsReply:
    """Its postback, and what its callbacks are signed with. Tokens that somebody has set are not shown."""
    return _with_secrets(backend, step)


@router.post(
    "/ads/steps/{step_id}/remove",
    summary="Remove a step of an ad system",
    openapi_extra=needs(Permission.CHECKPOINTS_WRITE, is_conditional=True),
)
async def remove_ad_step(
    step: OwnedAdStep, _body: Annotated[Empty, Depends(JsonBody(Empty))], call: CurrentCall
) -> Success:
    """Those behind it move up where it was the only way through it."""
    return await call.change(lambda change: operations.remove_step(change, step.id), lambda _: Success())


def _view(backend: Backend, step: AdStep) -> AdStepView:
    secrets = operations.secrets_of(backend.keyring, step)
    return AdStepView.of(step, secrets, backend.about.public_url, backend.clock())


def _with_secrets(backend: Backend, step: AdStep) -> AdStepSecretsReply:
    secrets = operations.secrets_of(backend.keyring, step)
    has_postback = PROVIDERS[ProviderName(step.provider)].has_postback
    return AdStepSecretsReply(
        step=AdStepView.of(step, secrets, backend.about.public_url, backend.clock()),
        postback=f"{backend.about.public_url}/postback/{secrets['postback']}" if has_postback else None,
        signing_secret=secrets.get("signing_secret"),
    )
