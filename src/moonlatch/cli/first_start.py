"""The very first start: an account with its token, and an example script that is published and has a key."""

from __future__ import annotations

from importlib import resources

import msgspec

from moonlatch.cli.operator import operator
from moonlatch.crypto import new_id
from moonlatch.operations import accounts as account_operations
from moonlatch.operations import projects as project_operations
from moonlatch.operations import scripts as script_operations
from moonlatch.operations import users as user_operations
from moonlatch.operations.changing import Change, perform
from moonlatch.operations.context import World
from moonlatch.storage import accounts
from moonlatch.storage.accounts import Account
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script
from moonlatch.storage.users import User

ACCOUNT_NAME = "owner"


class FirstAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The account that was made, and its API token, which is stored nowhere."""

    account: Account
    token: str


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
        return FirstAccount(account=account, token=secret)

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
    await script_operations.publish(world, actor, script, example_source())
    return Example(project_id=project.id, script_id=script.id, user_key=user.key)


def example_source() -> str:
    """The example script."""
    return (resources.files("moonlatch.cli") / "hello.lua").read_text("utf-8")
