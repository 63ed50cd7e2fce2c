"""Whom changes from the command line are ascribed to: the person at the terminal, who may do everything."""

from __future__ import annotations

import getpass

from moonlatch.operations.context import Actor, ActorKind


def operator(account_id: str) -> Actor:
    """The user of the operating system, acting on an account."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user that has no name
        name = "nobody"
    return Actor(account_id=account_id, kind=ActorKind.CLI, id=name, name=name)
