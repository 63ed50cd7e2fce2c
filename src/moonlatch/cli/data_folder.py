"""Opens the database for commands that work on it directly, also while a server runs on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from moonlatch.cli.operator import operator
from moonlatch.cli.output import CommandError, own_command, shown
from moonlatch.clock import MIN_TIME_MS, end_of_utc_day_ms, now_ms, utc_day
from moonlatch.config import Settings, load_settings
from moonlatch.operations.changing import Operation, perform
from moonlatch.operations.context import World
from moonlatch.private_files import make_private_folder
from moonlatch.storage import accounts
from moonlatch.storage.accounts import Account
from moonlatch.storage.engines import open_database
from moonlatch.storage.interface import Database, StorageError, UniqueViolation
from moonlatch.storage.migration import SchemaTooOld

T = TypeVar("T")
NEVER = "never"


def with_database(data: Path | None, work: Callable[[Database, Settings], Awaitable[T]], *, create: bool = False) -> T:
    """Run `work` on the installation's database. `create` makes a data folder that is not there.

    Raises CommandError, InvalidSettingsError, and UniqueViolation as `work` does.
    """
    settings = load_settings({"data_dir": data})
    is_here = not settings.database_url.get_secret_value()
    if is_here and not create and not settings.database_file.exists():
        raise CommandError(
            f"there is no Moonlatch data in {shown(settings.data_dir)}",
            "Name the data folder with --data DIR, or start the server first.",
        )

    async def opened() -> T:
        database = await open_database(settings)
        try:
            return await work(database, settings)
        finally:
            await database.close()

    try:
        if is_here and create:
            with made_folder(settings.data_dir):
                return asyncio.run(opened())
        return asyncio.run(opened())
    except UniqueViolation:
        raise
    except StorageError as error:
        raise CommandError(str(error), storage_hint(settings, error)) from None


def changed(database: Database, settings: Settings, account_id: str, operation: Operation[T]) -> Awaitable[T]:
    """Carry an operation out as the person at the terminal, on an account. Raises what it raises."""
    world = World(database=database, tiers=settings.tiers, clock=now_ms, signing_in=settings.sign_in_rules)
    return perform(world, operator(account_id), operation)


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """With the data folder, made where it is missing. When the work inside fails and left nothing in it, it is removed again.

    Raises CommandError when it cannot be made or written to.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        make_private_folder(folder)
        probe = folder / ".writable"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        _remove(made)
        raise CommandError(
            f"the data folder {shown(folder)} cannot be made or written to: {error.strerror}",
            "Choose another with --data DIR.",
        ) from None
    try:
        yield
    except BaseException:
        _remove(made)
        raise


def _remove(made: list[Path]) -> None:
    """Remove these folders, the innermost first, as far as there is nothing in them but a lock that nobody holds."""
    from moonlatch.app import LOCK_NAME, FolderInUseError, data_folder_locked

    with suppress(OSError, FolderInUseError):
        if made and [path.name for path in made[0].iterdir()] == [LOCK_NAME]:
            with data_folder_locked(made[0]):
                (made[0] / LOCK_NAME).unlink()
        for path in made:
            path.rmdir()


def storage_hint(settings: Settings, error: StorageError) -> str:
    """What to do about a database that cannot be used."""
    if isinstance(error, SchemaTooOld):
        return f"Run `{own_command('migrate', data=settings.data_dir)}` once; CHANGELOG.md says whether servers of before may go on meanwhile."
    if settings.database_url.get_secret_value():
        return "The database is the one of the setting database_url. Is its server up, and may the role use it?"
    return f"May you write to {shown(settings.data_dir)}? Is there room on its disk?"


async def account_named(database: Database, name: str) -> Account:
    """Raises CommandError when there is none of this name."""
    found = await accounts.find_by_name(database, name)
    if found is None:
        names = ", ".join(account.name for account in await accounts.list_all(database))
        raise CommandError(f"there is no account {name!r}", f"There are: {names}." if names else "There are none yet.")
    return found


def end_of_day(text: str | None) -> int | None:
    """The last millisecond of a day given as YYYY-MM-DD (UTC); None for none and for "never". Raises CommandError."""
    if text is None or text == NEVER:
        return None
    try:
        end = end_of_utc_day_ms(text)
    except ValueError:
        end = 0
    if end < MIN_TIME_MS:
        raise CommandError(f"{text!r} is not a date", 'Write it as YYYY-MM-DD, like 2030-12-31, or "never".')
    return end


def end_of_future_day(text: str | None) -> int | None:
    """As `end_of_day`, for what would be over before it began with a day that has passed."""
    end = end_of_day(text)
    if end is not None and end <= now_ms():
        raise CommandError(f"{text!r} is in the past", 'Name today or a later day (UTC), or "never".')
    return end


def day_or_never(at_ms: int | None) -> str:
    """A time as people read it."""
    return NEVER if at_ms is None else utc_day(at_ms)


def checked_name(name: str) -> str:
    """A name for an account or token. Raises CommandError for one that could not be typed or shown again."""
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise CommandError("a name should be 1 to 100 printable characters")
    return name
