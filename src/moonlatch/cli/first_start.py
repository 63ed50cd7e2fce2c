"""The very first start: an account with its token and its owner's link, and an example script that is published and has a key."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import msgspec

from moonlatch.cli.operator import operator
from moonlatch.crypto import new_id
from moonlatch.licensing.roles import Role
from moonlatch.operations import accounts as account_operations
from moonlatch.operations import members as member_operations
from moonlatch.operations import projects as project_operations
from moonlatch.operations import publishing
from moonlatch.operations import scripts as script_operations
from moonlatch.operations import users as user_operations
from moonlatch.operations.changing import Change, keyring_of, perform
from moonlatch.operations.context import World
from moonlatch.operations.members import NewLink
from moonlatch.storage import accounts
from moonlatch.storage.accounts import Account
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script
from moonlatch.storage.user_keys import key_of
from moonlatch.storage.users import User

ACCOUNT_NAME = OWNER = "owner"
FILE_NAME = "first-start.txt"
"""In the data folder: what the first start tells where nobody sits at a terminal."""


class FirstAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The account that was made, its API token and the link for its owner, both of which are stored nowhere."""

    account: Account
    token: str
    link: NewLink


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A published script, and a key to run it with."""

    project_id: str
    script_id: str
    user_key: str


async def first_account(world: World, *, tier: str) -> FirstAccount | None:
    """Make the account `owner` if there is no account at all; None when there is one."""

    async def unit(change: Change) -> FirstAccount | None:
        # Looked up inside the transaction: of two servers that start at once, one makes it.
        if await accounts.list_all(change.tx):
            return None
        account, _, secret = await account_operations.create(change, name=ACCOUNT_NAME, tier=tier)
        link = await member_operations.invite(change, name=OWNER, sign_in_name=OWNER, role=Role.OWNER)
        return FirstAccount(account=account, token=secret, link=link)

    return await perform(world, operator(new_id()), unit)


async def publish_example(world: World, account: Account) -> Example:
    """Make a project with a published script and a user. Raises StorageError, and Refused when nothing can be published."""
    actor = operator(account.id)

    async def unit(change: Change) -> tuple[Project, Script, User]:
        project = await project_operations.create(change, name="Example")
        script = await script_operations.create(change, project.id, name="hello")
        settings = [{"note": "made by the first start"}]
        (user,) = await user_operations.create(change, project.id, settings, keys=[None])
        return project, script, user

    project, script, user = await perform(world, actor, unit)
    await publishing.publish(world, actor, script, example_source())
    return Example(project_id=project.id, script_id=script.id, user_key=key_of(keyring_of(world), user))


def write_down(folder: Path, text: str) -> Path:
    """Keep what is told once in a file that its owner alone can read (mode 0600), behind what stands there; gives its path. Raises OSError."""
    path = folder / FILE_NAME
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text + "\n")
    return path


def example_source() -> str:
    """The example script."""
    return (resources.files("moonlatch.cli") / "hello.lua").read_text("utf-8")
