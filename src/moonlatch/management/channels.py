"""Channel endpoints: which builds a script serves besides its current one, and to which keys."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Query
from pydantic import AfterValidator, ConfigDict, Field

from moonlatch.licensing.roles import Permission
from moonlatch.licensing.rollout import STABLE
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.body import JsonBody
from moonlatch.management.builds import BUILD_YANKED, CHANNEL_PATTERN, NO_SUCH_BUILD, BuildNumber, ChannelName
from moonlatch.management.call import CurrentCall, CurrentReading
from moonlatch.management.fields import ClearableCount, Closed, Edit, Empty, Id
from moonlatch.management.owned import OwnedScript, OwnedUser
from moonlatch.management.paging import PageQuery
from moonlatch.management.refusals import ACCOUNT_EXPIRED, DocumentedError, refusing
from moonlatch.management.replies import Reply, Success, example
from moonlatch.management.routes import needs, resource_router
from moonlatch.management.times import ClearableTime
from moonlatch.operations import channels as operations
from moonlatch.operations import pins, scripts
from moonlatch.operations.refusals import Reason
from moonlatch.storage import discord_channels, plans, releases
from moonlatch.storage.releases import Pin

router = resource_router("scripts")

MAX_CHANNELS = DocumentedError(3, Reason.MAX_CHANNELS, 403)
NO_SUCH_CHANNEL = DocumentedError(3, Reason.NO_SUCH_CHANNEL, 409, {"channel": "beta"})
CANNOT_EDIT_NOTHING = DocumentedError(4, Reason.NOTHING_TO_EDIT, 400)


def _own(name: str) -> str:
    if name == STABLE:
        raise ValueError("must be another one: stable serves the current build")
    return name


OwnChannelName = Annotated[ChannelName, AfterValidator(_own)]


class SetChannel(Closed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "beta", "build": 4}]})

    name: Annotated[OwnChannelName, Field(description="of the channel, which comes to be by this")]
    build: Annotated[BuildNumber, Field(description="number of the build that its keys are given")]


class PinUser(Edit):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"script": "SCRIPT_ID", "build": 3, "expires": 1_770_624_500_000}]}
    )

    script: Annotated[Id, Field(description="id of a script of the key's project")]
    channel: Annotated[
        str | None, Field(pattern=f"{CHANNEL_PATTERN}|^$", description="the channel that the key is on")
    ] = None
    build: Annotated[ClearableCount, Field(description="number of the build that the key is pinned to")] = None
    expires: Annotated[
        ClearableTime | None, Field(description="Unix milliseconds; until when it is pinned; without it for good")
    ] = None

    def changes(self) -> dict[str, Any]:
        """As for every edit, by the names of a pin's fields."""
        found = super().changes()
        del found["script"]
        if "expires" in found:
            found["expires_at"] = found.pop("expires")
        return found


class ChannelView(Reply):
    """A channel, and the build that it serves."""

    model_config = example(name="beta", build=4)

    name: str
    build: int


class ChannelsReply(Success):
    channels: list[ChannelView]


class PinView(Reply):
    """Which build of a script a key is given; times in Unix milliseconds."""

    model_config = example(
        user_id="USER_ID",
        user_key="USER_KEY",
        script_id="SCRIPT_ID",
        channel=None,
        build=3,
        expires=1_770_624_500_000,
        created_at=1_768_000_000_000,
    )

    user_id: str
    user_key: str | None = Field(description="masked for those who may not see keys")
    script_id: str
    channel: str | None
    build: int | None
    expires: int | None = Field(description="until when the key is pinned to the build; null: for good")
    created_at: int

    @classmethod
    def of(cls, pin: Pin, *, user_key: str | None) -> PinView:
        return cls(
            user_id=pin.user_id,
            user_key=user_key,
            script_id=pin.script_id,
            channel=pin.channel,
            build=pin.build,
            expires=pin.expires_at,
            created_at=pin.created_at,
        )


class PinsReply(Success):
    pins: list[PinView]


class UserPinsReply(PinsReply):
    role_channels: list[str] = Field(
        description="the channels that the key is on by its owner's Discord roles, that of the highest first; its own wins",
        examples=[["beta"]],
    )


@router.get(
    "/scripts/{script_id}/channels", summary="List a script's channels", openapi_extra=needs(Permission.SCRIPTS_READ)
)
async def list_channels(script: OwnedScript, backend: CurrentBackend) -> ChannelsReply:
    """`stable`, which serves the current build, then the others by name. Empty for a script without a build."""
    if not script.build:
        return ChannelsReply(channels=[])
    found = {STABLE: script.build, **await plans.channels_of(backend.database, script.id)}
    return ChannelsReply(channels=[ChannelView(name=name, build=build) for name, build in found.items()])


@router.post(
    "/scripts/{script_id}/channels",
    summary="Have a channel serve a build",
    responses=refusing(ACCOUNT_EXPIRED, NO_SUCH_BUILD, BUILD_YANKED, MAX_CHANNELS),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def set_channel(
    script: OwnedScript, wanted: Annotated[SetChannel, Depends(JsonBody(SetChannel))], call: CurrentCall
) -> Success:
    """From the next start on, for the keys that are on it. An update with `channel` does the same with a new build."""
    return await call.change(
        lambda change: operations.put(change, script.id, wanted.name, wanted.build), _done, version=scripts.version
    )


@router.post(
    "/scripts/{script_id}/channels/{name}/remove",
    summary="Remove a channel",
    responses=refusing(ACCOUNT_EXPIRED),
    openapi_extra=needs(Permission.SCRIPTS_PUBLISH, is_conditional=True),
)
async def remove_channel(
    script: OwnedScript,
    name: Annotated[ChannelName, Path(description="the channel's name")],
    _body: Annotated[Empty, Depends(JsonBody(Empty))],
    call: CurrentCall,
) -> Success:
    """The keys that are on it get what others get, until there is a channel of that name again."""
    return await call.change(lambda change: operations.remove(change, script.id, name), _done, version=scripts.version)


@router.get("/scripts/{script_id}/pins", summary="List a script's pins", openapi_extra=needs(Permission.KEYS_READ))
async def list_pins(script: OwnedScript, page: Annotated[PageQuery, Query()], call: CurrentReading) -> PinsReply:
    """A page of the keys that are on a channel or pinned to a build, oldest first."""
    found = await releases.list_pins(call.backend.database, script.id, offset=page.offset, limit=page.size)
    keys = await call.keys_of(script.project_id, [pin.user_id for pin in found])
    return PinsReply(pins=[PinView.of(pin, user_key=keys.get(pin.user_id)) for pin in found])


@router.get("/users/{key}/pins", summary="List a user's pins", openapi_extra=needs(Permission.KEYS_READ))
async def list_user_pins(user: OwnedUser, call: CurrentReading) -> UserPinsReply:
    """What of the scripts of its project the key is given in place of their current builds, at most one for each."""
    found = await releases.pins_of_user(call.backend.database, user.id)
    by_roles = await discord_channels.of_user(call.backend.database, user.id)
    keys = await call.keys_of(user.project_id, [pin.user_id for pin in found])
    return UserPinsReply(
        pins=[PinView.of(pin, user_key=keys.get(pin.user_id)) for pin in found], role_channels=by_roles
    )


@router.post(
    "/users/{key}/pin",
    summary="Put a key on a channel or pin it to a build",
    responses=refusing(ACCOUNT_EXPIRED, NO_SUCH_BUILD, BUILD_YANKED, NO_SUCH_CHANNEL, CANNOT_EDIT_NOTHING),
    openapi_extra=needs(Permission.KEYS_WRITE),
)
async def pin_user(
    user: OwnedUser, wanted: Annotated[PinUser, Depends(JsonBody(PinUser))], call: CurrentCall
) -> Success:
    """Of one script, from the key's next start on. Fields left out or null stay as they are, `""` clears one; a build given anew has the end given with it."""
    return await call.change(lambda change: pins.pin(change, user.id, wanted.script, wanted.changes()), _done)


def _done(_: object) -> Success:
    return Success()
