"""What can be done to server variables: values that scripts ask for by name, of a project, of one script or of one key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.crypto import SERVER_VARIABLE
from moonlatch.keyring import Keyring
from moonlatch.licensing.roles import Permission
from moonlatch.licensing.server_variables import MAX_PER_OWNER, MAX_VALUE_BYTES
from moonlatch.live.interface import VariableOwner
from moonlatch.operations.changing import Change, Resource, version_of
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import Invalid, NotFound, Reason, Refused
from moonlatch.storage import variables
from moonlatch.storage.variables import Variable

_NONE = "none"
"""Version of a variable that is not there."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a variable is: a script's, a key's, or else the project's own."""

    project_id: str
    script_id: str | None = None
    user_id: str | None = None


def version(variable: Variable | None) -> str:
    """What it is at, for callers that must not overwrite each other's values."""
    if variable is None:
        return _NONE
    # Sealed anew, the value is the same.
    return version_of(msgspec.structs.replace(variable, value=b""), without=frozenset())


def value_of(keyring: Keyring, variable: Variable) -> Any:
    """Raises UnreadableSecretError."""
    return json.loads(keyring.open_secret(SERVER_VARIABLE, variable.id, variable.value))


async def put(change: Change, owner: Owner, name: str, value: Any, *, cache_seconds: int) -> Variable:
    """Set a variable, which comes to be by this. Copies that run ask anew. Raises NotAllowed, NotFound, Refused, Invalid, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_WRITE)
    await _require_owner(change, owner)
    await change.require_active()
    text = _text_of(value)
    found = await variables.list_of(change.tx, owner.project_id, script_id=owner.script_id, user_id=owner.user_id)
    before = next((each for each in found if each.name == name), None)
    change.expect(version(before))
    if before is None and len(found) >= MAX_PER_OWNER:
        raise Refused(Reason.MAX_VARIABLES)
    variable_id = crypto.new_id() if before is None else before.id
    after = Variable(
        id=variable_id,
        account_id=change.actor.account_id,
        project_id=owner.project_id,
        script_id=owner.script_id,
        user_id=owner.user_id,
        name=name,
        value=change.keyring.seal_secret(SERVER_VARIABLE, variable_id, text),
        value_bytes=len(text.encode()),
        cache_seconds=cache_seconds,
        revision=1 if before is None else before.revision + 1,
        created_at=change.now if before is None else before.created_at,
        updated_at=change.now,
    )
    if before is None:
        await variables.insert(change.tx, after)
    else:
        await variables.save(change.tx, after)
    _record(change, EventKind.VARIABLE_SET, after, before)
    return after


async def remove(change: Change, variable_id: str) -> None:
    """Remove a variable: scripts find that of a wider owner, or none. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    change.actor.require(Permission.SCRIPTS_WRITE)
    current = await variables.find_owned(change.tx, variable_id, change.actor.account_id)
    if current is None or not change.actor.reaches(current.project_id):
        raise NotFound("variable")
    change.expect(version(current))
    await variables.remove(change.tx, current.id)
    _record(change, EventKind.VARIABLE_REMOVED, current)


async def _require_owner(change: Change, owner: Owner) -> None:
    """Raises NotFound."""
    if owner.script_id is not None:
        await change.script(owner.script_id)
    elif owner.user_id is not None:
        await change.user(owner.user_id)
    else:
        await change.project(owner.project_id)


def _text_of(value: Any) -> str:
    """Raises Invalid for what is no value, or too large a one."""
    if value is None:
        raise Invalid("value", "must not be null; remove the variable instead")
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if len(text.encode()) > MAX_VALUE_BYTES:
        raise Invalid("value", f"may have at most {MAX_VALUE_BYTES} bytes as JSON, has {len(text.encode())}")
    return text


def _record(change: Change, kind: EventKind, variable: Variable, before: Variable | None = None) -> None:
    changes: dict[str, tuple[Any, Any]] = {
        name: (each, None) for name, each in (("script", variable.script_id), ("user", variable.user_id)) if each
    }
    if kind is EventKind.VARIABLE_SET:
        changes = {name: (None, each) for name, (each, _) in changes.items()}
        for field in ("value_bytes", "cache_seconds"):
            changes[field] = (None if before is None else getattr(before, field), getattr(variable, field))
    change.record(
        kind, Resource("variable", variable.id, variable.name), project_id=variable.project_id, changes=changes
    )
    owner, owner_id = _told(variable)
    change.tell(lambda live: live.variable_changed(owner, owner_id, variable.name))


def _told(variable: Variable) -> tuple[VariableOwner, str]:
    if variable.user_id is not None:
        return "user", variable.user_id
    if variable.script_id is not None:
        return "script", variable.script_id
    return "project", variable.project_id
