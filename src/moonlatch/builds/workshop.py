"""Turns a text into a protected one: with our own engine in a worker process, or elsewhere once that has checked and prepared it.

It decides nothing about quotas and stores nothing; a customer's key is opened here, for the one order it is needed for.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from moonlatch import crypto
from moonlatch.builds.drafts import DraftReader
from moonlatch.builds.job import Check, Done, Failed, Fault, Invalid, Job, Task, WorkerAnswer
from moonlatch.builds.leaks import LeakReader
from moonlatch.builds.places import Places
from moonlatch.builds.pool import Meter, WorkerPool
from moonlatch.builds.turns import Turns
from moonlatch.crypto import LURAPH_KEY, UnreadableSecretError
from moonlatch.keyring import Keyring
from moonlatch.luraph.order import Order, Received, RemoteEngine
from moonlatch.obfuscator.engine_name import EngineName
from moonlatch.obfuscator.outcome import Failure
from moonlatch.obfuscator.target import Target
from moonlatch.storage import luraph_keys
from moonlatch.storage.builds import Protection
from moonlatch.storage.interface import Database
from moonlatch.storage.projects import Project

MAX_WARNINGS = 100
MAX_FILE_NAME_CHARACTERS = 200
REMOTE_PLACES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A text to protect. `project` owns it and says how other engines do it; `name` is what those call it, `meter` what it costs.

    `has_marks` asks for a template of copies, which other engines have none of.
    """

    source: bytes
    name: str
    project: Project
    protection: Protection
    client_chunk: bool
    has_marks: bool = False
    meter: Meter = field(default_factory=Meter)


class Workshop:
    """Protects texts. Each account's jobs leave a worker to the others, and waiting for a service takes none at all."""

    def __init__(
        self, *, database: Database, keyring: Keyring, workers: WorkerPool, remote: RemoteEngine | None
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._workers = workers
        self._remote = remote
        self._remote_places = Places(REMOTE_PLACES)
        # An account cannot take all workers, so that its hostile or endless updates leave one for the others.
        self._turns_of_account = Turns(max(1, workers.size - 1))
        self.drafts = DraftReader(workers)
        self.leaks = LeakReader(workers)

    def admission(self, owner: str, engine: str) -> AbstractContextManager[None]:
        """A place among the updates with this engine for the block; a service that hangs holds up only its own.

        Raises PoolBusyError.
        """
        if engine == EngineName.EMBEDDED:
            return self._workers.admission(owner)
        return self._remote_places.admission(owner)

    async def protect(self, piece: Piece, *, deadline: float) -> WorkerAnswer:
        """Protect a text before the (event loop's) deadline. Raises PoolBusyError when no worker is free before it."""
        is_remote = piece.protection.engine != EngineName.EMBEDDED
        job = Job(
            source=piece.source,
            profile=piece.protection.profile,
            target=piece.protection.target,
            client_chunk=piece.client_chunk,
            keeps_macros=is_remote,
            has_marks=piece.has_marks and not is_remote,
            seed=crypto.new_seed(),
        )
        answer = await self._worked(job, piece, deadline)
        return await self._ordered(answer, piece, deadline) if is_remote and isinstance(answer, Done) else answer

    async def _worked(self, job: Task, piece: Piece, deadline: float) -> WorkerAnswer:
        async with self._turns_of_account.turn(piece.project.account_id, deadline=deadline):
            return await self._workers.answer_to(job, deadline=deadline, meter=piece.meter)

    async def _ordered(self, prepared: Done, piece: Piece, deadline: float) -> WorkerAnswer:
        if self._remote is None:
            return _failure("this server has no such engine")
        try:
            key = await self._key(piece.project.account_id)
        except UnreadableSecretError:
            return _failure("the account's Luraph API key cannot be read with this server's master key; set it again")
        if key is None:
            return _failure("the account has no Luraph API key; set one with POST /account/luraph")
        order = Order(
            text=prepared.text,
            file_name=f"{piece.name[:MAX_FILE_NAME_CHARACTERS]}.lua",
            api_key=key,
            target=_language(piece.protection, prepared),
            settings=piece.project.luraph_options,
        )
        received = await self._remote.protect(order, deadline=deadline)
        if isinstance(received, Failure):
            return Failed(faults=[Fault(error.param, error.message) for error in received.errors])
        return await self._checked(received, prepared, piece, deadline)

    async def _key(self, account_id: str) -> str | None:
        sealed = await luraph_keys.find(self._database, account_id)
        return None if sealed is None else self._keyring.open_secret(LURAPH_KEY, account_id, sealed)

    async def _checked(self, received: Received, prepared: Done, piece: Piece, deadline: float) -> WorkerAnswer:
        """A result that is cut short, or a page that says something went wrong, must not become a build."""
        answer = await self._worked(Check(text=received.text), piece, deadline)
        match answer:
            case Done():
                warnings = [*prepared.warnings, *received.warnings][:MAX_WARNINGS]
                return Done(text=received.text, warnings=warnings, target=prepared.target)
            case Invalid():
                return _failure(f"Luraph's result is not a script: {answer.first_fault}")
            case Failed():
                return answer


def _language(protection: Protection, prepared: Done) -> Target | None:
    """What the result must be written in: as asked for, else Luau for a script that needs it, else what the service likes."""
    if protection.target is not None:
        return Target(protection.target)
    return Target.LUAU if prepared.target == Target.LUAU else None


def _failure(message: str) -> Failed:
    return Failed(faults=[Fault(None, message)])
