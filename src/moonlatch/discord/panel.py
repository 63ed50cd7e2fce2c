"""The panel: a message whose buttons customers use alone, each for the key that is theirs by their Discord id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from moonlatch.discord.interactions import written
from moonlatch.discord.messages import Button, Dialog, Reply, Style
from moonlatch.discord.visit import Visit, moment, named
from moonlatch.licensing.key import has_passed, is_blacklisted, is_held
from moonlatch.operations import customers
from moonlatch.operations.changing import keyring_of
from moonlatch.operations.refusals import Invalid, Reason, Refused
from moonlatch.storage import key_devices, scripts, users
from moonlatch.storage.user_keys import key_of
from moonlatch.storage.users import User

PREFIX = "ml1"
"""Of what buttons and dialogs are called: `ml1:ACTION:PROJECT_ID`."""

MOST_SCRIPTS = 10
"""Whose loader lines one message shows."""

REDEEM = "redeem_key"
KEY_FIELD = "key"
LONGEST_KEY = 64
_SHORTEST_KEY = 8

DEFAULT_TEXT = (
    "Bought a key? Redeem it here once. Then get your script, reset your device when you change computers, "
    "and collect your role, any time."
)


def panel_of(visit: Visit) -> Reply:
    """The panel of a project, for everybody to see."""
    link, project = visit.link, visit.project
    return Reply(
        link.panel_text or DEFAULT_TEXT,
        title=link.panel_title or named(project.name, 200),
        buttons=[
            Button("Get script", f"{PREFIX}:get_script:{project.id}", Style.SUCCESS),
            Button("Redeem key", f"{PREFIX}:{REDEEM}:{project.id}", Style.PRIMARY),
            Button("Reset device", f"{PREFIX}:reset_device:{project.id}"),
            Button("My stats", f"{PREFIX}:my_stats:{project.id}"),
            Button("Get role", f"{PREFIX}:get_role:{project.id}"),
        ],
        is_public=True,
    )


def named_by(custom_id: str) -> tuple[str, str] | None:
    """Action and project of a button or dialog of ours; None for anything else."""
    prefix, _, rest = custom_id.partition(":")
    action, _, project_id = rest.partition(":")
    return (action, project_id) if prefix == PREFIX and action in HANDLERS and project_id else None


def redeem_dialog(project_id: str) -> Dialog:
    return Dialog(
        custom_id=f"{PREFIX}:{REDEEM}:{project_id}",
        title="Redeem a key",
        label="Your key",
        field=KEY_FIELD,
        placeholder="As you got it when you paid",
        shortest=_SHORTEST_KEY,
        longest=LONGEST_KEY,
    )


async def redeem_written(visit: Visit) -> Reply:
    """Redeem the key that was written into the dialog."""
    return await redeem(visit, written(visit.server.interaction.data).get(KEY_FIELD, ""))


async def redeem(visit: Visit, key: str) -> Reply:
    key = key.strip()
    if not key.isascii() or not _SHORTEST_KEY <= len(key) <= LONGEST_KEY or "\0" in key:
        raise Invalid(KEY_FIELD, "is not one: copy all of it, and nothing else")
    user = await visit.change(lambda change: customers.redeem(change, visit.project.id, key))
    return Reply(f"The key is yours now, {_until(user)}. **Get script** has your loader line.")


async def _get_script(visit: Visit) -> Reply:
    user = await _own(visit)
    if is_blacklisted(user.blacklisted, user.blacklist_expires, visit.now):
        raise Refused(Reason.ALREADY_BLACKLISTED)
    if has_passed(user.key_expires, visit.now):
        raise Refused(Reason.KEY_EXPIRED)
    found = await scripts.list_of_project(visit.world.database, visit.project.id, offset=0, limit=100)
    running = [script for script in found if script.enabled and script.loader is not None]
    if not running:
        return Reply("There is no script to run yet, or it is switched off for now. Try again later.")
    key = key_of(keyring_of(visit.world), user)
    lines = [f'script_key = "{key}"']
    for script in running[:MOST_SCRIPTS]:
        if len(running) > 1:
            lines.append(f"-- {_comment(script.name)}")
        lines.append(f'loadstring(game:HttpGet("{visit.server.public_url}/loader/{script.id}"))()')
    more = f"\n{len(running) - MOST_SCRIPTS} more scripts are not shown." if len(running) > MOST_SCRIPTS else ""
    code = "\n".join(lines)
    return Reply(
        f"Only you see this, and the key in it is yours alone: whoever shares it loses it.\n```lua\n{code}\n```{more}"
    )


async def _reset_device(visit: Visit) -> Reply:
    await visit.change(lambda change: customers.reset_device(change, visit.project.id))
    return Reply("Done: the next device that starts with your key becomes its device.")


async def _my_stats(visit: Visit) -> Reply:
    user = await _own(visit)
    now = visit.now
    further = await key_devices.further(visit.world.database, user.id)
    devices = (user.fingerprint is not None) + len(further)
    lines = [f"Your key is {state_of(user, now)}.", f"Starts: {user.executions}"]
    if user.max_executions is not None:
        lines[-1] += f" of {user.max_executions}"
    lines.append(f"Devices: {devices} of {user.max_devices or visit.project.max_devices}")
    lines.append(f"Device resets: {user.total_fingerprint_resets}")
    if user.last_reset is not None:
        lines[-1] += f", last {moment(user.last_reset)}"
    return Reply("\n".join(lines))


async def _get_role(visit: Visit) -> Reply:
    if visit.link.customer_role_id is None:
        return Reply("There is no role for customers here.")
    await visit.change(lambda change: customers.ask_for_role(change, visit.project.id))
    return Reply(f"You get <@&{visit.link.customer_role_id}> in some seconds.")


HANDLERS: dict[str, Callable[[Visit], Awaitable[Reply]]] = {
    "get_script": _get_script,
    REDEEM: redeem_written,
    "reset_device": _reset_device,
    "my_stats": _my_stats,
    "get_role": _get_role,
}
"""What each button does; that of `REDEEM` opens the dialog, which does it."""


async def _own(visit: Visit) -> User:
    user = await users.find_by_discord(visit.world.database, visit.project.id, visit.actor.id)
    if user is None:
        raise Refused(Reason.NO_KEY)
    return user


def state_of(user: User, now: int) -> str:
    """How a key stands at `now` (Unix milliseconds), in words."""
    if is_blacklisted(user.blacklisted, user.blacklist_expires, now):
        until = "" if user.blacklist_expires is None else f" until {moment(user.blacklist_expires)}"
        reason = "" if user.blacklist_reason is None else f": {named(user.blacklist_reason, 255)}"
        return f"blacklisted{until}{reason}"
    if has_passed(user.key_expires, now):
        assert user.key_expires is not None
        return f"expired since {moment(user.key_expires)}"
    if is_held(user.held_by, user.held_until, now):
        return "on hold, because it looks as if several people shared it: ask the staff"
    return f"good {_until(user)}"


def _until(user: User) -> str:
    if user.key_expires is not None:
        return f"until {moment(user.key_expires)}"
    return "for good" if user.key_days is None else f"for {user.key_days} days from its first start"


def _comment(name: str) -> str:
    """A name as a Lua comment within a block of code."""
    return " ".join(name.replace("`", "'").split())[:60].replace("@", "@\u200b")
