"""`POST /client/v1/check_key` and `GET /library.lua`: for the windows in which scripts ask for a key. Starts nothing, counts nothing, binds nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.client.replies import encode_json
from moonlatch.client.wire import CheckKey
from moonlatch.clock import SECOND_MS, Clock
from moonlatch.keyring import Keyring
from moonlatch.licensing.fingerprint import is_bound
from moonlatch.licensing.key import has_passed, is_blacklisted, is_held
from moonlatch.storage import key_devices, users
from moonlatch.storage.interface import Database
from moonlatch.storage.licences import Licences
from moonlatch.storage.users import User

CHECK_PATH = "/client/v1/check_key"
LIBRARY_PATH = "/library.lua"
CHECKS_BURST = 10
_NEVER = -1


class KeyState(msgspec.Struct, frozen=True):
    """What a window is told of a key. The codes are those that public hubs know."""

    code: str
    message: str
    data: dict[str, Any] = {}


SCRIPT_UNKNOWN = KeyState("SCRIPT_ID_INCORRECT", "This script does not exist. Ask its developer for a new one.")
INCORRECT = KeyState("KEY_INCORRECT", "This key does not exist. Check it for typing errors, or get a new one.")
BANNED = KeyState("KEY_BANNED", "This key is blacklisted. Ask the developer of the script why.")
HELD = KeyState("KEY_HELD", "This key is on hold. Ask whoever gave it to you to release it.")
EXPIRED = KeyState("KEY_EXPIRED", "This key has expired. Get a new one.")
USED_UP = KeyState("KEY_EXPIRED", "This key has been used as often as it may be. Get a new one.")
ELSEWHERE = KeyState(
    "KEY_HWID_LOCKED", "This key belongs to another device. Ask for a fingerprint reset to use it on this one."
)
VALID = "KEY_VALID"


def too_many(seconds: int) -> KeyState:
    return KeyState("RATE_LIMITED", f"Too many keys were tried from your network. Try again in {seconds} seconds.")


class KeyCheckEndpoint:
    """Answers what a window asks about a key. It tells no more than a start would, and whoever asks too often is told nothing."""

    def __init__(self, database: Database, licences: Licences, keyring: Keyring, clock: Clock) -> None:
        self._database = database
        self._licences = licences
        self._keyring = keyring
        self._clock = clock

    async def state_of(self, request: CheckKey) -> KeyState:
        owner = self._licences.known_owner(request.script_id) or await self._licences.owner(request.script_id)
        if owner is None:
            return SCRIPT_UNKNOWN
        user = await users.find_by_key(self._database, self._keyring.user_key_hashes(request.key))
        if user is None or user.project_id != owner.project:
            return INCORRECT
        now = self._clock()
        if is_blacklisted(user.blacklisted, user.blacklist_expires, now):
            return BANNED
        if is_held(user.held_by, user.held_until, now):
            return HELD
        if has_passed(user.key_expires, now):
            return EXPIRED
        if user.max_executions is not None and user.executions >= user.max_executions:
            return USED_UP
        if request.fingerprint and await self._is_elsewhere(user, owner.project, request.fingerprint):
            return ELSEWHERE
        expires = _NEVER if user.key_expires is None else user.key_expires // SECOND_MS
        data = {"auth_expire": expires, "total_executions": user.executions, "note": user.note or ""}
        return KeyState(VALID, "This key is valid.", data)

    async def _is_elsewhere(self, user: User, project: str, fingerprint: str) -> bool:
        if not is_bound(user.fingerprint, user.fingerprintless):
            return False
        device = self._keyring.fingerprint(project, "fingerprint", fingerprint)
        if device == user.fingerprint:
            return False
        further = await key_devices.further(self._database, user.id)
        return all(each.fingerprint != device for each in further) and not await self._licences.has_free_device(user.id)


def encoded(state: KeyState) -> bytes:
    return encode_json({"success": state.code == VALID, **msgspec.structs.asdict(state)})


class Library:
    """The library's text, with an entity tag."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.etag = f'"{crypto.content_hash(source)[:32]}"'.encode()
