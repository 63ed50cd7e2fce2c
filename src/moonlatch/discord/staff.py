"""What staff do by commands: with keys, running copies and the panel of a project. Each does it as the member who asked."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from moonlatch.clock import DAY_MS, utc_day
from moonlatch.discord import panel
from moonlatch.discord.guild_members import TooManyMembersError, people_of
from moonlatch.discord.messages import Reply
from moonlatch.discord.visit import Visit, moment, named
from moonlatch.json_bounds import decode_finite, is_too_deep
from moonlatch.licensing.durations import duration_text
from moonlatch.licensing.key import MAX_KEY_DAYS
from moonlatch.licensing.roles import Permission
from moonlatch.live.interface import Session, SessionFilter
from moonlatch.operations import users as operations
from moonlatch.operations.changing import keyring_of
from moonlatch.operations.discord import token_of
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused
from moonlatch.operations.standing import still_standing
from moonlatch.storage import key_devices, projects, scripts, user_lists, users
from moonlatch.storage.user_keys import key_of, masked_key_of
from moonlatch.storage.user_lists import Total, UserFilter
from moonlatch.storage.users import User
from moonlatch.web.discord_api import File

MOST_CREATED = 500
MOST_SHOWN_KEYS = 20
"""More come as a file."""

MOST_MEMBERS = 10_000
"""Whom one mass whitelisting looks at."""

MOST_SESSIONS = 10
MOST_SCRIPTS = 100
MESSAGE_SECONDS = 60.0
MOST_DATA = 1_500


async def whitelist(visit: Visit) -> Reply:
    person = _required_person(visit)
    user = (
        await visit.change(
            lambda change: operations.create(change, visit.project.id, [_settings(visit, person)], keys=[None])
        )
    )[0]
    return Reply(f"<@{person}> has a key {_good(user)}. They get it by the panel's **Get script**.")


async def unwhitelist(visit: Visit) -> Reply:
    user = await _whom(visit)
    await visit.change(lambda change: operations.remove(change, user.id))
    return Reply(
        f"The key of {_called(visit, user)} is removed, and every copy stopped. For 7 days it can be brought back."
    )


async def blacklist(visit: Visit) -> Reply:
    user = await _whom(visit)
    duration = visit.duration()
    expires = None if duration is None else visit.now + duration
    reason = visit.text("reason")
    await visit.change(lambda change: operations.blacklist(change, user.id, reason=reason, expires=expires))
    until = "for good" if expires is None else f"until {moment(expires)}"
    return Reply(f"{_called(visit, user)} is blacklisted {until}, and every copy stopped.")


async def unblacklist(visit: Visit) -> Reply:
    user = await _whom(visit)
    await visit.change(lambda change: operations.unblacklist(change, user.id))
    return Reply(f"{_called(visit, user)} is no longer blacklisted.")


async def reset_fingerprint(visit: Visit) -> Reply:
    return await _reset(visit, force=False)


async def force_reset_fingerprint(visit: Visit) -> Reply:
    return await _reset(visit, force=True)


async def _reset(visit: Visit, *, force: bool) -> Reply:
    user = await _whom(visit)
    await visit.change(lambda change: operations.reset_fingerprint(change, user.id, force=force))
    return Reply(f"The next device that starts with the key of {_called(visit, user)} becomes its device.")


async def extend(visit: Visit) -> Reply:
    duration = visit.duration()
    if duration is None:
        raise Invalid("duration", "is required")
    user = await _whom(visit)
    changed = await visit.change(lambda change: operations.extend(change, user.id, milliseconds=duration))
    return Reply(f"The key of {_called(visit, user)} has {duration_text(duration)} more: it is {_good(changed)}.")


async def user_info(visit: Visit) -> Reply:
    return await _shown(visit, await _whom(visit))


async def _shown(visit: Visit, user: User) -> Reply:
    """A key with all that staff need to help its owner; the key itself only for those who may see keys."""
    now = visit.now
    show = key_of if visit.actor.may(Permission.KEYS_REVEAL) else masked_key_of
    devices = (user.fingerprint is not None) + len(await key_devices.further(visit.world.database, user.id))
    lines = [
        f"**Key** `{show(keyring_of(visit.world), user)}`",
        f"**State** {panel.state_of(user, now)}",
        f"**Customer** {'nobody yet' if user.discord_id is None else f'<@{user.discord_id}>'}",
        f"**Starts** {user.executions}" + ("" if user.max_executions is None else f" of {user.max_executions}"),
        f"**Devices** {devices} of {user.max_devices or visit.project.max_devices}, reset {user.total_fingerprint_resets} times",
        f"**Made** {moment(user.created_at)}",
    ]
    if user.executor is not None:
        lines.append(f"**Last host** {named(user.executor)}")
    if user.note is not None:
        lines.append(f"**Note** {named(user.note, 255)}")
    return Reply("\n".join(lines))


async def create_keys(visit: Visit) -> Reply:
    count = visit.number("count", least=1, most=MOST_CREATED) or 1
    settings = _settings(visit, None)
    made = await visit.change(
        lambda change: operations.create(change, visit.project.id, [settings] * count, keys=[None] * count)
    )
    return _listed(
        visit, made, f"{len(made)} new keys, each {_good(made[0])}." if count > 1 else f"A new key, {_good(made[0])}."
    )


async def delete_unused(visit: Visit) -> Reply:
    count = visit.number("count", least=1, most=MOST_CREATED) or MOST_CREATED
    removed = await visit.change(lambda change: operations.remove_unused(change, visit.project.id, most=count))
    more = " There may be more: run it again." if len(removed) == MOST_CREATED else ""
    return Reply(
        f"{len(removed)} keys that nobody used or was given are removed. For 7 days they can be brought back.{more}"
    )


async def replace_keys(visit: Visit) -> Reply:
    count = visit.number("count", least=1, most=MOST_CREATED)
    if count is None:
        raise Invalid("count", "is required")
    made = await visit.change(lambda change: operations.replace_unused(change, visit.project.id, most=count))
    if not made:
        return Reply("There is no key that nobody used or was given.")
    return _listed(
        visit, made, f"{len(made)} keys that nobody used or was given start nothing any more. In their place:"
    )


async def mass_whitelist(visit: Visit) -> Reply:
    """Give everybody with a role of the server a key who has none yet. Asked again, it goes on where it ended."""
    role = visit.role("role")
    whom = await _members_with(visit, role)
    made = had = 0
    for begin in range(0, len(whom), MOST_CREATED):
        some = whom[begin : begin + MOST_CREATED]

        async def create(change: Any, some: list[str] = some) -> tuple[int, int]:
            change.actor.require(Permission.KEYS_WRITE)
            new = [each for each in some if not await users.has_discord(change.tx, visit.project.id, each)]
            settings = [_settings(visit, each) for each in new]
            if new:
                await operations.create(change, visit.project.id, settings, keys=[None] * len(new))
            return len(new), len(some) - len(new)

        new, old = await visit.change(create)
        made, had = made + new, had + old
    return Reply(f"{made} members with <@&{role}> have a key now; {had} had one already.")


async def _members_with(visit: Visit, role: str) -> list[str]:
    """Ids of the members with a role, at most `MOST_MEMBERS` being looked at. Raises DiscordError, Invalid."""
    token = token_of(keyring_of(visit.world), visit.server.application)
    people = people_of(visit.world, token, visit.server.guild_id, most=MOST_MEMBERS)
    try:
        return [each.id async for each in people if role in each.roles]
    except TooManyMembersError:
        raise Invalid(
            "role", f"is of a server with more than {MOST_MEMBERS:,} members: use the API's bulk calls"
        ) from None


async def stats(visit: Visit) -> Reply:
    database, keyring, now = visit.world.database, keyring_of(visit.world), visit.now

    async def count(where: UserFilter = UserFilter()) -> str:  # noqa: B008 -- it never changes
        return _total(await user_lists.count_of_project(database, keyring, visit.project.id, where, now=now))

    days = await projects.executions_by_day(database, visit.project.id, since=utc_day(now - 6 * DAY_MS))
    sessions = copies = 0
    for script in await scripts.list_of_project(database, visit.project.id, offset=0, limit=MOST_SCRIPTS):
        if visit.world.live is not None:
            counts = await visit.world.live.counts(script.id)
            sessions, copies = sessions + counts.sessions, copies + counts.instances
    parts = [
        ("never used", UserFilter(unused=True)),
        ("expired", UserFilter(expired=True)),
        ("blacklisted", UserFilter(blacklisted=True)),
        ("on hold", UserFilter(held=True)),
    ]
    of_parts = ", ".join([f"{name} {await count(where)}" for name, where in parts])
    today, week = days.get(utc_day(now), 0), sum(days.values())
    lines = [
        f"**{named(visit.project.name)}**",
        f"Keys: {await count()}; {of_parts}",
        f"Running now: {copies} copies, {sessions} with a session",
        f"Starts: {today} today, {week} in 7 days, {visit.project.total_executions} in all",
    ]
    return Reply("\n".join(lines))


async def sessions(visit: Visit) -> Reply:
    open_now = await _sessions(visit, await _whom(visit) if _names_somebody(visit) else None)
    if not open_now:
        return Reply("Nobody is connected." if not _names_somebody(visit) else "They are not connected.")
    owners = {
        user.id: user
        for user in await users.find_all(
            visit.world.database, visit.project.id, [each.user_id or "" for each in open_now]
        )
    }
    lines = []
    for each in open_now[:MOST_SESSIONS]:
        owner = owners.get(each.user_id or "")
        who = "without a key" if owner is None else _called(visit, owner)
        place = "" if each.place_id is None else f", place {each.place_id}"
        lines.append(
            f"{who}: {named(each.executor or 'unknown host', 40)}{place}, since <t:{each.created_at // 1000}:R>"
        )
    if len(open_now) > MOST_SESSIONS:
        lines.append(f"and {len(open_now) - MOST_SESSIONS} more")
    return Reply("\n".join(lines))


async def message(visit: Visit) -> Reply:
    """Call a handler in every session of somebody's key."""
    user = await _whom(visit)
    handler, data = visit.required("handler", most=100), _data(visit)
    live = visit.world.live
    open_now = (await _sessions(visit, user))[:MOST_SESSIONS]
    if not open_now or live is None:
        return Reply("They are not connected.")
    actor = await still_standing(visit.world.database, visit.actor, now=visit.now)
    actor.require(Permission.SESSIONS_MESSAGE)
    outcomes = await asyncio.gather(*(live.message(each.id, handler, data, MESSAGE_SECONDS) for each in open_now))
    lines = []
    for outcome in outcomes:
        said = msgspec.json.encode(outcome.response).decode() if outcome.processed else str(outcome.reason)
        lines.append(f"{'answered' if outcome.processed else 'not processed'}: {named(said, 300)}")
    return Reply("\n".join(lines))


async def post_panel(visit: Visit) -> Reply:
    return panel.panel_of(visit)


async def redeem_key(visit: Visit) -> Reply:
    return await panel.redeem(visit, visit.required("key"))


# --- parts


def _settings(visit: Visit, person: str | None) -> dict[str, Any]:
    """A new key's settings. For somebody its time begins now; for nobody yet, with the first start where it counts in whole days."""
    duration, settings = visit.duration(), {"note": visit.text("note"), "discord_id": person}
    if duration is None:
        return settings
    days, rest = divmod(duration, DAY_MS)
    if person is None and not rest and days <= MAX_KEY_DAYS:
        return {**settings, "key_days": days}
    return {**settings, "key_expires": visit.now + duration}


def _required_person(visit: Visit) -> str:
    person = visit.person()
    if person is None:
        raise Invalid("user", "is required")
    return person


def _names_somebody(visit: Visit) -> bool:
    return visit.text("user") is not None or visit.text("key") is not None


async def _whom(visit: Visit) -> User:
    """The project's user who is named by their Discord account, their key or its id. Raises NotFound, Invalid."""
    database, key = visit.world.database, visit.text("key", most=64)
    if key is not None:
        found = await users.find_named(database, keyring_of(visit.world), key.strip(), visit.link.account_id)
        if found is None or found.project_id != visit.project.id:
            raise NotFound("key")
        return found
    person = visit.person()
    if person is None:
        raise Invalid("user", "or key is required")
    found = await users.find_by_discord(database, visit.project.id, person)
    if found is None:
        raise Refused(Reason.NO_KEY)
    return found


def _called(visit: Visit, user: User) -> str:
    """How somebody is called: by their account, which is shown and not mentioned, or by a part of their key."""
    return (
        f"<@{user.discord_id}>" if user.discord_id is not None else f"`{masked_key_of(keyring_of(visit.world), user)}`"
    )


def _good(user: User) -> str:
    return panel.state_of(user, 0)


async def _sessions(visit: Visit, user: User | None) -> list[Session]:
    """Open sessions of the project, the oldest first, a few more than are shown."""
    if visit.world.live is None:
        return []
    found: list[Session] = []
    where = SessionFilter(user_id=None if user is None else user.id)
    for script in await scripts.list_of_project(visit.world.database, visit.project.id, offset=0, limit=MOST_SCRIPTS):
        found += await visit.world.live.sessions(script.id, where, 0, 100)
    return sorted(found, key=lambda each: each.created_at)


def _data(visit: Visit) -> Any:
    text = visit.text("data", most=MOST_DATA)
    if text is None:
        return []
    try:
        data = decode_finite(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return text
    if is_too_deep(data):
        raise Invalid("data", "is nested too deeply")
    return data


def _listed(visit: Visit, made: list[User], words: str) -> Reply:
    """New keys, for those who may see keys."""
    if not visit.actor.may(Permission.KEYS_REVEAL):
        return Reply(f"{words} You may not see them; somebody with `keys:reveal` can.")
    keys = [key_of(keyring_of(visit.world), user) for user in made]
    if len(keys) <= MOST_SHOWN_KEYS:
        code = "\n".join(keys)
        return Reply(f"{words}\n```\n{code}\n```")
    return Reply(words, files=[File("keys.txt", "\n".join([*keys, ""]).encode())])


def _total(total: Total) -> str:
    return f"{total.users:,}" + ("" if total.is_exact else "+")
