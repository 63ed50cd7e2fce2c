"""Looks at how keys are used, beside the starts that use them, and has those dealt with that break their project's rules.

A key is looked at when something about its use is new: its first start here of an hour, another device or network than the last
time, a start in a host whose functions were replaced, and as often as it takes not to miss the start that is one too many. All others cost an entry in a table.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from moonlatch.licensing.sharing import breaches, starts_left
from moonlatch.operations.changing import perform
from moonlatch.operations.context import World
from moonlatch.operations.refusals import NotFound
from moonlatch.operations.sharing import act_on_breaches, actor_for
from moonlatch.storage import key_signals
from moonlatch.storage.interface import StorageError
from moonlatch.storage.key_signals import JudgedKey
from moonlatch.storage.key_uses import KeyUse

MOST_KEYS = 50_000
"""Keys whose use is remembered; then all is forgotten, and each is looked at once more."""

MOST_LOOKS = 2_000
"""Keys that are looked at in one go; the others wait for the next."""

logger = logging.getLogger(__name__)


class _Known:
    """What this process knows of a key's use: where it was last, its starts of an hour, and when to look at it again."""

    __slots__ = ("day", "device", "forgiven_until", "hour", "look_at", "network", "said", "starts")

    def __init__(self) -> None:
        self.device: bytes | None = None
        self.network: bytes | None = None
        self.hour = self.day = -1
        self.starts = 0
        self.look_at: int | None = 1
        """The number of starts; None: not in this hour."""
        self.forgiven_until: int | None = None
        self.said: set[tuple[str, str]] = set()
        """Rules and consequences that were acted on today."""


class SharingWatch:
    """Belongs to one event loop. `used` is told of every start of a key, `look` does the work of all that became due."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[str, _Known] = {}
        self._due: dict[str, None] = {}

    def used(self, uses: Sequence[KeyUse]) -> None:
        """Keys were used so, and it is written down."""
        for use in uses:
            if self._is_due(use):
                self._due[use.user_id] = None

    async def look(self) -> None:
        """Judge the keys that are due. What fails is tried again the next time something is due."""
        due = list(self._due)[:MOST_LOOKS]
        if not due:
            return
        try:
            found = {
                key.user_id: key for key in await key_signals.usages(self._world.database, due, now=self._world.clock())
            }
            for user_id in due:
                # Behind the others, should this one fail again and again.
                self._due[user_id] = self._due.pop(user_id)
                if user_id in found:
                    await self._judge_alone(found[user_id])
                del self._due[user_id]
        except StorageError as error:
            logger.warning("%d keys wait to be looked at: %s", len(self._due), type(error).__name__)

    def _is_due(self, use: KeyUse) -> bool:
        known = self._known.get(use.user_id)
        if known is None:
            if len(self._known) >= MOST_KEYS:
                self._known.clear()
            known = self._known[use.user_id] = _Known()
        if use.hour != known.hour:
            known.hour, known.starts, known.look_at = use.hour, 0, 1
            if use.day != known.day:
                known.day = use.day
                known.said.clear()
        known.starts += use.starts
        is_elsewhere = use.device != known.device or use.network != known.network
        known.device, known.network = use.device, use.network
        return is_elsewhere or use.hooked > 0 or (known.look_at is not None and known.starts >= known.look_at)

    async def _judge_alone(self, key: JudgedKey) -> None:
        """Judge a key; what is wrong with it is no reason to leave others out. Raises StorageError."""
        try:
            await self._judge(key)
        except StorageError:
            raise
        except Exception:
            logger.exception("the use of the key of user %s could not be judged", key.user_id)

    async def _judge(self, key: JudgedKey) -> None:
        known = self._known.get(key.user_id)
        if known is None:  # everything was forgotten in between
            known = _Known()
        left = starts_left(key.rules, key.usage)
        # Other processes may start it too: half of what is left, and so on, until the last.
        known.look_at = None if left is None or left < 0 else known.starts + left // 2 + 1
        if key.forgiven_until != known.forgiven_until:
            known.forgiven_until = key.forgiven_until
            known.said.clear()
        found = [each for each in breaches(key.rules, key.usage) if (each.rule, each.action) not in known.said]
        if not found:
            return
        try:
            await perform(self._world, actor_for(key.account_id), lambda change: act_on_breaches(change, key, found))
        except NotFound:
            return  # it was removed meanwhile
        known.said.update((each.rule, each.action) for each in found)
