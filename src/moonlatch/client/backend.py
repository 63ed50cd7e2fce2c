"""What the client protocol's endpoints work with, put together once. Holds no rule."""

from __future__ import annotations

from moonlatch.client.history import History
from moonlatch.client.transcript import LoaderKeys
from moonlatch.clock import Clock
from moonlatch.crypto import Keyring
from moonlatch.licensing.verdict import Policy
from moonlatch.live.interface import Roster
from moonlatch.live.judge import Judge
from moonlatch.storage.licences import Licences

_KEPT_LOADER_KEYS = 1_000


class Backend:
    """The parts behind the endpoints; times come from `clock`, in Unix milliseconds."""

    __slots__ = ("_loader_keys", "clock", "history", "judge", "keyring", "licences", "policy", "roster")

    def __init__(
        self,
        *,
        licences: Licences,
        roster: Roster,
        keyring: Keyring,
        clock: Clock,
        policy: Policy,
        history: History,
    ) -> None:
        self.licences = licences
        self.roster = roster
        self.keyring = keyring
        self.clock = clock
        self.policy = policy
        self.history = history
        self.judge = Judge(licences, policy)
        self._loader_keys: dict[str, LoaderKeys] = {}

    def loader_keys(self, loader: str) -> LoaderKeys:
        """What is derived from a loader's secret."""
        known = self._loader_keys.get(loader)
        if known is not None:
            return known
        if len(self._loader_keys) >= _KEPT_LOADER_KEYS:
            self._loader_keys.clear()
        keys = self._loader_keys[loader] = LoaderKeys(self.keyring.loader_secret(loader))
        return keys
