"""From a place in a build to the line of the source it was made from, by the map that is sealed with the build."""

from __future__ import annotations

from base64 import b64decode, b64encode

from moonlatch import crypto
from moonlatch.crypto import LINE_MAP
from moonlatch.keyring import Keyring
from moonlatch.licensing.crashes import Spot
from moonlatch.obfuscator.line_map import LineMap, Place
from moonlatch.storage import line_maps
from moonlatch.storage.interface import Database, Transaction
from moonlatch.storage.line_maps import SealedMap


def sealed(keyring: Keyring, content: bytes) -> SealedMap:
    """A map, as `LineMap.to_bytes` gives it, to be kept."""
    map_id = crypto.new_id()
    return SealedMap(map_id, keyring.seal_secret(LINE_MAP, map_id, b64encode(content).decode()))


async def map_of(db: Database | Transaction, keyring: Keyring, script_id: str, build: int) -> LineMap | None:
    """A build's map; None for one that has none. Raises UnreadableSecretError, LineMapError."""
    found = await line_maps.find(db, script_id, build)
    if found is None:
        return None
    return LineMap.from_bytes(b64decode(keyring.open_secret(LINE_MAP, found.id, found.content)))


def located(found: LineMap | None, spot: Spot | None) -> Place | None:
    """The place in the source; None where the build has no map, or the map does not know it."""
    if found is None or spot is None:
        return None
    return found.locate(spot.line, spot.column, spot.instruction)
