"""How often somebody may try to sign in, and how failures are noted: bounded, and without their time telling who exists."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from moonlatch.errors import rate_limited
from moonlatch.operations.changing import note
from moonlatch.operations.context import World
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.members import resource
from moonlatch.operations.signing_in import FailedSignIn, Visit, acting
from moonlatch.storage.interface import StorageError
from moonlatch.web.limits import NetworkLimit, RateLimit, RateLimits

log = logging.getLogger("moonlatch.management")

_MOST_NOTING = 100


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` tries at once, one more each `seconds`."""

    seconds: float
    burst: int


@dataclass(frozen=True, slots=True)
class SignInRates:
    """How often somebody may try with one name, from one address, and with codes of one member whose password they know.

    5,760 guesses a day at a password; passkeys and links are not counted there, so a member under attack still gets in.
    Of a million codes three are good at a time.
    """

    per_name: Rate = field(default=Rate(seconds=15, burst=20))
    per_address: Rate = field(default=Rate(seconds=3, burst=20))
    codes: Rate = field(default=Rate(seconds=60, burst=5))


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """How often anybody may try to sign in: with a name, from an address, and with a code of a member's."""

    per_name: RateLimit
    per_address: NetworkLimit
    codes: RateLimit

    @classmethod
    def of(cls, limits: RateLimits, rates: SignInRates) -> SignInLimits:
        def made(kind: str, rate: Rate) -> RateLimit:
            return limits(kind, per_second=1 / rate.seconds, burst=rate.burst)

        of_network = NetworkLimit(
            limits, "sign-in", per_second=1 / rates.per_address.seconds, burst=rates.per_address.burst
        )
        return cls(made("sign-in name", rates.per_name), of_network, made("code", rates.codes))

    async def take(self, address: str, sign_in_name: str | None = None) -> None:
        """Count one try. Raises ApiError 429."""
        allowances = [await self.per_address.take(address)]
        if allowances[0].allowed and sign_in_name is not None:
            allowances.append(await self.per_name.take(sign_in_name.lower()))
        for allowance in allowances:
            if not allowance.allowed:
                raise rate_limited(allowance.retry_after_seconds)


class FailedSignIns:
    """Leaves events of failures after their answers, and of one member at most one a minute."""

    def __init__(self, world: World, noted: RateLimit) -> None:
        self._world = world
        self._noted = noted
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, failed: FailedSignIn, visit: Visit) -> None:
        """Somebody failed. A name that nobody has belongs to no account, and leaves a line in the log."""
        if failed.member is None:
            log.info("somebody failed to sign in with a name that nobody has")
        elif len(self._writing) < _MOST_NOTING:
            task = asyncio.create_task(self._write(failed, visit))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _write(self, failed: FailedSignIn, visit: Visit) -> None:
        member = failed.member
        assert member is not None
        if not (await self._noted.take(member.id)).allowed:
            return
        try:
            await note(
                self._world,
                acting(member, visit),
                EventKind.MEMBER_SIGN_IN_FAILED,
                resource(member),
                changes={"wrong": (None, failed.wrong)},
            )
        except StorageError as error:
            log.warning("a failed sign-in was not noted: %s", error)
