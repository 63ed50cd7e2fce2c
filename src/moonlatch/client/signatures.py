"""Signs what a client is told, many answers at once: one signature of the root of a hash tree, and for each answer its way there.

A signature takes a fourth of what a whole start does. The first answer after a pause is signed in the next turn of the loop;
under load those of a millisecond share one.
"""

from __future__ import annotations

import asyncio

from moonlatch.client.replies import RefusedError, refusal_body
from moonlatch.client.transcript import encode
from moonlatch.crypto import MasterKey, sha256
from moonlatch.promise import Promise

_LEAF, _NODE = b"\0", b"\1"  # no answer can pass for an inner node
_LABEL = b"moonlatch/2 "
_REFUSAL = b"moonlatch/2 refusal\n"

PAUSE_SECONDS = 0.001
"""Between two signatures."""


class Signatures:
    """Those of one master key. Belongs to one event loop."""

    def __init__(self, key: MasterKey) -> None:
        self._key = key
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[bytes, Promise[str]]] = []
        self._signed_at = 0.0

    def proof(self, content: bytes) -> Promise[str]:
        """What shows that the installation said this, for the field `proof` of a reply; there within `PAUSE_SECONDS`."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        promise: Promise[str] = Promise(self._loop)
        if not self._waiting:
            pause = self._signed_at + PAUSE_SECONDS - self._loop.time()
            if pause > 0:
                self._loop.call_later(pause, self._sign)
            else:
                self._loop.call_soon(self._sign)
        self._waiting.append((sha256(_LEAF + content), promise))
        return promise

    async def sign(self, refused: RefusedError, body: bytes) -> None:
        """Have the refusal of the request with this body say who refuses it."""
        said = encode(refusal_body(refused.refusal)["error"])
        refused.proof = await self.proof(_REFUSAL + sha256(body) + said)

    def _sign(self) -> None:
        assert self._loop is not None  # `proof` had it call
        waiting, self._waiting = self._waiting, []
        self._signed_at = self._loop.time()
        root, ways = hash_tree([leaf for leaf, _ in waiting])
        signature = self._key.sign(_LABEL + root).hex()
        for (_, promise), way in zip(waiting, ways, strict=True):
            if not promise.done():  # nobody waits any more
                promise.set_result(signature + way)


def hash_tree(leaves: list[bytes]) -> tuple[bytes, list[str]]:
    """The root of at least one leaf, and each leaf's way to it: `l` or `r`, where the other hash stands, and that in hex."""
    ways: list[list[str]] = [[] for _ in leaves]
    level, below = leaves, [[number] for number in range(len(leaves))]
    while len(level) > 1:
        nodes, under = [], []
        for at in range(0, len(level) - 1, 2):
            left, right = level[at], level[at + 1]
            nodes.append(sha256(_NODE + left + right))
            under.append(below[at] + below[at + 1])
            from_left, from_right = "r" + right.hex(), "l" + left.hex()
            for number in below[at]:
                ways[number].append(from_left)
            for number in below[at + 1]:
                ways[number].append(from_right)
        if len(level) % 2:  # it goes up as it is
            nodes.append(level[-1])
            under.append(below[-1])
        level, below = nodes, under
    return level[0], ["".join(way) for way in ways]
