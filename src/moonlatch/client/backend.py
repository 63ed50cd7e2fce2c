"""What the client protocol's endpoints work with, put together once. Holds no rule."""

from __future__ import annotations

import msgspec

from moonlatch.client.history import History
from moonlatch.client.moments import PAST_MS, RUNNING
from moonlatch.client.replies import RefusedError
from moonlatch.client.signatures import Signatures
from moonlatch.client.tokens import CLAIMS_VERSION, Claims
from moonlatch.client.transcript import LoaderKeys
from moonlatch.clock import DAY_MS, Clock
from moonlatch.keyring import Keyring
from moonlatch.licensing.verdict import Granted, Policy, Refusal, RunningFacts
from moonlatch.live.interface import Roster
from moonlatch.live.judge import Judge
from moonlatch.storage.licences import Licences

_KEPT_LOADER_KEYS = 1_000
NOBODY = ""
"""Id of a user who is not there any more."""


class Backend:
    """The parts behind the endpoints; times come from `clock`, in Unix milliseconds."""

    __slots__ = ("_loader_keys", "_signatures", "clock", "history", "judge", "keyring", "licences", "policy", "roster")

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
        self._signatures = {key: Signatures(key) for key in keyring.keys}
        self._loader_keys: dict[str, LoaderKeys] = {}

    async def check_moment(self, instance_id: str, moment: int, now: int) -> None:
        """Raise RefusedError for a beat, session or call of another time than now; it will not be taken when its time comes."""
        try:
            RUNNING.check(moment, now, self.roster.since)
        except RefusedError:
            if moment > now:
                await self.roster.spend_early(instance_id, moment, min(moment, now + DAY_MS) + PAST_MS)
            raise

    async def up_to_date(self, claims: Claims) -> Claims:
        """Return the claims of a token as they would be issued now: one of before names its user by the key. Raises StorageError."""
        if claims.version == CLAIMS_VERSION or claims.user_id is None:
            return claims
        found = None
        for key_hash in self.keyring.user_key_hashes(claims.user_id):
            found = found or await self.licences.user_with_key(key_hash)
        return msgspec.structs.replace(claims, user_id=found or NOBODY, version=CLAIMS_VERSION)

    async def permit(self, claims: Claims, now: int) -> tuple[Granted, RunningFacts]:
        """What a copy that tells something is granted, and the facts. Raises RefusedError for one that may not go on, StorageError.

        Whether it has a place is not asked: it is given nothing.
        """
        judged = await self.judge.judge(claims.running(), now, _facts, shows_user=False)
        if isinstance(judged, Refusal):
            raise RefusedError(judged)
        return judged

    def signatures_for(self, loader: str | None) -> Signatures:
        """What a loader can check; for one that nobody knows, those of the current master key."""
        return self._signatures[self.keyring.current if loader is None else self.keyring.key_for(loader)]

    def loader_keys(self, loader: str) -> LoaderKeys:
        """What is derived from a loader's secret."""
        known = self._loader_keys.get(loader)
        if known is not None:
            return known
        if len(self._loader_keys) >= _KEPT_LOADER_KEYS:
            self._loader_keys.clear()
        keys = self._loader_keys[loader] = LoaderKeys(self.keyring.loader_secret(loader))
        return keys


async def _facts(facts: RunningFacts, _granted: Granted) -> RunningFacts:
    return facts
