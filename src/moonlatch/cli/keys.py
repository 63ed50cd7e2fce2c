"""`moonlatch keys ...`: the ring of master keys, directly where the keys and the data are. Works while servers run."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any

import typer

from moonlatch.cli.data_folder import with_database
from moonlatch.cli.output import CommandError, DataFolder, Json, own_command, remark, say, show_table, write_json
from moonlatch.clock import now_ms, utc_day, utc_time
from moonlatch.config import Settings
from moonlatch.crypto import new_key
from moonlatch.keyring import MOST_KEYS, Keyring, MasterKeyLine
from moonlatch.master_key import MasterKeySource
from moonlatch.operations import master_keys as operations
from moonlatch.operations.master_keys import Standing
from moonlatch.storage import installation, master_keys
from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.sealed import ANSWERS

app = typer.Typer(help="The ring of master keys. Works while the server runs.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]

_MOST_NAMED = 10


@app.command("list")
def list_keys(data: DataFolder = None, as_json: Json = False) -> None:
    """List the master keys, and what lies under each."""
    found, here = with_database(data, _standings)
    if as_json:
        write_json([_public(each, here) for each in found])
        return
    show_table(
        ["key", "state", "since", "line", "under it"],
        [
            [
                each.key.id,
                f"retired {utc_day(each.key.retired_at)}" if each.key.retired_at else _state(each),
                utc_day(each.key.added_at) if each.key.added_at else "the beginning",
                str(here[each.key.id]) if each.key.id in here else "not here",
                ", ".join(_needs(each)) or "nothing",
            ]
            for each in found
        ],
    )


@app.command("rotate")
def rotate(data: DataFolder = None, as_json: Json = False) -> None:
    """Make a new master key, for what is made from now on.

    Nobody uses it before they have been restarted. Those before stay for what they made, until `keys retire`.
    """

    async def work(database: Database, settings: Settings) -> tuple[Settings, MasterKeyLine, bool]:
        source = settings.master_key
        line = MasterKeyLine(new_key())
        key = Keyring(line.master).current
        line = MasterKeyLine(line.master, f"{key.id}, made {utc_day(now_ms())}")
        is_written = source.is_in_folder and source.exists
        with source.locked() if is_written else nullcontext():
            await _require_room(database, settings)
            if is_written:
                source.write([line, *_remarked(_lines(source))])
            await database.run(lambda tx: master_keys.add(tx, key, now=now_ms()))
        return settings, line, is_written

    settings, line, is_written = with_database(data, work)
    key_id = Keyring(line.master).current.id
    if as_json:
        write_json({"id": key_id, "line": None if is_written else str(line)})
        return
    say(_next_steps(settings, key_id, line, is_written=is_written))


@app.command("use")
def use(key_id: KeyId, data: DataFolder = None) -> None:
    """Have servers that share a database use a key.

    Each uses it from its next start on: for when all of them know it. A server that is alone
    needs no such word.
    """

    async def work(database: Database, settings: Settings) -> None:
        ring = _ring_or_none(settings.master_key)
        if ring is not None and key_id not in {key.id for key in ring.keys}:
            raise CommandError(
                f"{settings.master_key.place} does not hold the master key {key_id}", "No server could start with it."
            )
        try:
            await database.run(lambda tx: operations.use(tx, key_id, now=now_ms()))
        except LookupError:
            raise _unknown(key_id, data) from None

    with_database(data, work)
    say(f"Servers use the master key {key_id} from their next start on: restart every one of them.")


@app.command("retire")
def retire(
    key_id: KeyId,
    *,
    now: Annotated[
        bool,
        typer.Option(
            "--now",
            help="Do not wait for copies that run, and end loaders that somebody kept: they start nothing more.",
        ),
    ] = False,
    data: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Forget an older master key, once nothing needs it.

    Says what does, and changes nothing then.
    """

    async def work(database: Database, settings: Settings) -> bool:
        known = [each for each in await master_keys.list_all(database) if each.id == key_id]
        if not known:
            raise _unknown(key_id, data)
        standing = next(
            (each for each in await operations.standings(database, now=now_ms()) if each.key.id == key_id), None
        )
        if standing is not None and standing.is_current:
            raise _current(key_id)
        if standing is not None and standing.key.retired_at is None:  # or only its line is left
            _require_unneeded(standing, ends_copies=now)
            unneeded = standing

            async def unit(tx: Transaction) -> bool:
                return await operations.retire(tx, unneeded, now=now_ms())

            if not await database.run(unit):  # a server began to use it just now
                raise _current(key_id)
        return _take_out(settings.master_key, key_id)

    is_out = with_database(data, work)
    if as_json:
        write_json({"id": key_id, "line_removed": is_out})
        return
    say(f"The master key {key_id} is retired: nothing needs it any more.")
    if is_out:
        say(
            "Its line is gone from the data folder. Backups of before still need it: keep it with them, or make a new one and remove those."
        )
    else:
        say("Take its line out of where the keys are, on every server, and restart them.")


async def _standings(database: Database, settings: Settings) -> tuple[list[Standing], dict[str, int]]:
    """The keys, and in which line of the ring each is that is in it."""
    ring = _ring_or_none(settings.master_key)
    here = {} if ring is None else {key.id: number for number, key in enumerate(ring.keys, 1)}
    if ring is None:
        remark(f"The master keys cannot be read from here ({settings.master_key.place}).", "yellow")
    return await operations.standings(database, now=now_ms()), here


def _ring_or_none(source: MasterKeySource) -> Keyring | None:
    """The ring, where it can be read: a credential of systemd is there for its service alone."""
    try:
        return source.open(create=False)
    except OSError:
        return None
    except ValueError as error:
        raise CommandError(str(error)) from None


def _lines(source: MasterKeySource) -> list[MasterKeyLine]:
    try:
        return source.lines()
    except (OSError, ValueError) as error:
        raise CommandError(f"the master keys cannot be read: {error}") from None


async def _require_room(database: Database, settings: Settings) -> None:
    """Raise CommandError where there is nothing to rotate, or a key waits that was not used yet."""
    found, known = await installation.find(database), await master_keys.list_all(database)
    if found is None or found.identity_key is None:
        raise CommandError("no server of this version has run with this data yet", "Start it once.")
    waiting = [key.id for key in known if key.is_waiting]
    if waiting:
        raise CommandError(
            f"the master key {waiting[0]} was made before, and no server uses it yet",
            f"Restart the server, or give it up: `{own_command('keys', 'retire', waiting[0], data=settings.data_dir)}`.",
        )
    ring = _ring_or_none(settings.master_key)
    if ring is None:
        return
    if found.key_check not in ring:
        raise CommandError(f"{settings.master_key.place} does not hold the master key that the data belongs to")
    # Whoever made it was killed, or wrote its line by hand.
    seen = {key.id for key in known}
    if unseen := [key.id for key in ring.keys if key.id not in seen]:
        raise CommandError(
            f"the master key {unseen[0]} stands in {settings.master_key.place}, and no server has seen it yet",
            "Restart the server: it then uses the key.",
        )
    if len(ring.keys) >= MOST_KEYS:
        raise CommandError(f"there are {MOST_KEYS} master keys already", "Retire those that nothing needs.")


def _remarked(lines: list[MasterKeyLine]) -> list[MasterKeyLine]:
    """The lines, each with its key's id, so that a person can tell them from each other."""
    return [MasterKeyLine(line.master, line.remark or Keyring(line.master).current.id) for line in lines]


def _next_steps(settings: Settings, key_id: str, line: MasterKeyLine, *, is_written: bool) -> str:
    place, folder = settings.master_key.place, settings.data_dir
    text = f"The master key {key_id} is made.\n\n"
    if is_written:
        text += f"It is the first line of {place}; those before stand behind it."
        if not settings.is_alone:
            text += " Servers with a file of their own need the same."
    else:
        text += (
            "It is not written anywhere. Put this line in front of the others, where the servers have their master keys from"
            f"{'' if settings.master_key.is_in_folder else f' ({place})'}:\n\n    {line}\n"
        )
    steps = (
        ["Restart the server: it then uses the key."]
        if settings.is_alone
        else [
            "Restart every server, one after the other: each then knows the key.",
            f"`{own_command('keys', 'use', key_id, data=folder)}`",
            "Restart every server again: each then uses it.",
        ]
    )
    steps += [
        (
            f"What lies under the key before is made anew in the background: `{own_command('keys', 'list', data=folder)}` tells how much is left. "
            "Scripts get their new loader with their next update."
        ),
        "Make a new backup.",
    ]
    return f"{text}\n\n" + "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def _current(key_id: str) -> CommandError:
    return CommandError(f"{key_id} is the current master key", "Make another with `moonlatch keys rotate`.")


def _require_unneeded(standing: Standing, *, ends_copies: bool) -> None:
    """Raise CommandError, with what still needs the key and what to do about each."""
    key_id = standing.key.id
    reasons = []
    if standing.is_in_use:
        reasons.append("a server that was not restarted yet still uses it: restart it, and wait 5 minutes")
    anew = {what: rows for what, rows in standing.sealed.items() if what != ANSWERS.what}
    if anew:
        reasons.append(
            f"{_counted(anew)}: a running server makes them anew under its key, all within minutes of its start"
        )
    if standing.served:
        reasons.append(
            f"{_scripts(standing)} serve a loader of it: an update, or `moonlatch rotate-loader`, gives them a new one"
        )
    if not ends_copies:
        if ANSWERS.what in standing.sealed:
            reasons.append(
                f"{_counted({ANSWERS.what: standing.sealed[ANSWERS.what]})}: they are gone within a day and an hour; with --now at once, "
                "and a call that is sent again is carried out again"
            )
        if kept := len(standing.loaders) - len(standing.served):
            reasons.append(
                f"{kept:,} earlier loaders still start scripts for whoever kept them: `moonlatch rotate-loader` ends them after a grace, --now at once"
            )
        if standing.needed_until is not None:
            reasons.append(
                f"copies that run may need it until {utc_time(standing.needed_until)} UTC, or longer while those of its loaders run: --now stops them"
            )
    if reasons:
        raise CommandError(f"the master key {key_id} is still needed", "\n".join(f"- {reason}." for reason in reasons))


def _scripts(standing: Standing) -> str:
    scripts = sorted({f"{loader.script_name} ({loader.script_id})" for loader in standing.served})
    more = f" and {len(scripts) - _MOST_NAMED:,} more" if len(scripts) > _MOST_NAMED else ""
    return f"{len(scripts):,} scripts, {', '.join(scripts[:_MOST_NAMED])}{more},"


def _take_out(source: MasterKeySource, key_id: str) -> bool:
    """Remove a key's line from the file in the data folder; False where it is not there."""
    if not source.is_in_folder or not source.exists:
        return False
    with source.locked():
        lines = _lines(source)
        kept = [line for line in lines if Keyring(line.master).current.id != key_id]
        if not kept or len(kept) == len(lines):
            return False
        source.write(kept)
    return True


def _state(standing: Standing) -> str:
    if standing.is_current:
        return "current"
    if standing.key.retired_at is not None:
        return "retired"
    return "waits" if standing.key.used_from is None else "older"


def _needs(standing: Standing) -> list[str]:
    needs = [_counted({what: rows}) for what, rows in standing.sealed.items()]
    if standing.loaders:
        needs.append(_counted({"loaders": len(standing.loaders)}))
    if standing.needed_until is not None and not standing.is_current:
        needs.append(f"copies until {utc_time(standing.needed_until)} UTC")
    return needs


def _counted(rows: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in rows.items())


def _unknown(key_id: str, data: Any) -> CommandError:
    return CommandError(f"there is no master key {key_id!r}", f"`{own_command('keys', 'list', data=data)}` lists them.")


def _public(standing: Standing, here: dict[str, int]) -> dict[str, Any]:
    key = standing.key
    return {
        "id": key.id,
        "state": _state(standing),
        "added_at": key.added_at,
        "used_from": key.used_from,
        "retired_at": key.retired_at,
        "line": here.get(key.id),
        "sealed": standing.sealed,
        "loaders": [
            {"id": each.id, "script_id": each.script_id, "script": each.script_name, "served": each.is_served}
            for each in standing.loaders
        ],
        "needed_until": standing.needed_until,
    }
