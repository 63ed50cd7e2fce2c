"""How long an account rests after what it is not charged for: work of its own cannot keep a worker from others. Knows no work and no worker."""

from __future__ import annotations

import asyncio

from moonlatch.builds.places import PoolBusyError


class Rests:
    """Belongs to one event loop. One caller of an account at a time."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    async def rested(self, account_id: str, deadline: float) -> None:
        """Wait until the account's rest is over. Raises PoolBusyError for one that lasts beyond the (event loop's) deadline."""
        now = asyncio.get_running_loop().time()
        until = self._until.get(account_id, now)
        if until > deadline:
            raise PoolBusyError
        await asyncio.sleep(max(0.0, until - now))

    def rest(self, account_id: str, seconds: float) -> None:
        """Have the account rest for so long from now on."""
        now = asyncio.get_running_loop().time()
        # Those whose rest is over are nobody's concern, and there are never more than have asked within a few minutes.
        self._until = {name: until for name, until in self._until.items() if until > now}
        self._until[account_id] = now + seconds
