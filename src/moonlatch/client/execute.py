"""`POST /client/v1/execute`: decides whether a script may start, writes the execution, and seals the payload for this one client."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from moonlatch import leases
from moonlatch.client.backend import Backend
from moonlatch.client.moments import PROTOCOL, RUNNING, STARTING, STARTING_UNCORRECTED, moment_of, protocol_of
from moonlatch.client.payloads import EVERYBODY, Payloads
from moonlatch.client.replies import REPLAYED, UNAVAILABLE, RefusedError, invalid
from moonlatch.client.reports import ReportLog
from moonlatch.client.start_reply import StartReply
from moonlatch.client.tokens import CLAIMS_VERSION, Claims, issue
from moonlatch.client.transcript import ExecuteKeys
from moonlatch.client.wire import Execute
from moonlatch.clock import DAY_MS
from moonlatch.crypto import new_id, sha256
from moonlatch.keyring import TOKEN_MS
from moonlatch.licensing.lease import Term, may_be_leased, term
from moonlatch.licensing.rollout import plan_of
from moonlatch.licensing.variables import start_variables
from moonlatch.licensing.verdict import (
    EXECUTION_LIMIT_REACHED,
    SCRIPT_NOT_FOUND,
    Granted,
    Refusal,
    Start,
    StartFacts,
    decide_start,
    is_first_use,
    is_on_new_build,
    no_place,
    with_build_given,
)
from moonlatch.live.interface import AliveAlreadyError, Instance, NoPlaceError
from moonlatch.operations.locks import is_elsewhere, lock_of
from moonlatch.operations.marking import holder_of_key, holder_without_key
from moonlatch.operations.run_keys import FIRST_LOADER as FIRST_WITH_RUN_KEYS
from moonlatch.operations.sealed_payload import SealedPayload
from moonlatch.storage.executions import UNKNOWN_EXECUTOR, Execution, ExecutionLog, OvertakenError, RepeatedError, Use
from moonlatch.storage.licences import Owner, StartQuestion
from moonlatch.storage.rollout_starts import RolloutStart
from moonlatch.storage.user_history import NewRefusal
from moonlatch.web.address import network_of

SESSION_PATH = "/client/v1/session"

_ATTEMPTS = 16
_HOLDER_BYTES = 16
_START = b"moonlatch/2 start\n"


class _Origin(NamedTuple):
    """Keyed hashes of where a start comes from."""

    fingerprint: bytes | None
    ip: bytes


def _holder(facts: StartFacts, origin: _Origin) -> str:
    """Whom a marked copy and a run key name."""
    if facts.user_id is not None:
        return holder_of_key(facts.user_id)
    return holder_without_key(origin.fingerprint, origin.ip)


class ExecuteEndpoint:
    def __init__(
        self, backend: Backend, log: ExecutionLog, payloads: Payloads, heartbeat_seconds: int, reports: ReportLog
    ) -> None:
        self._backend = backend
        self._log = log
        self._payloads = payloads
        self._heartbeat_seconds = heartbeat_seconds
        self._reports = reports

    async def start(self, request: Execute, address: str, body: bytes) -> list[bytes]:
        """Start the script for this client, which sent this; gives the reply's JSON in parts. Raises RefusedError, StorageError."""
        try:
            self._check_moment(request)
            return await self._start(request, address, body)
        except RefusedError as refused:
            if refused.refusal is not REPLAYED:
                await self.spend(request)
            if request.protocol >= PROTOCOL:
                await self._backend.signatures_for(request.loader).sign(refused, body)
            raise

    def _time(self) -> int:
        return RUNNING.time_to_take(self._backend.clock(), self._backend.roster.since)

    def _check_moment(self, request: Execute) -> None:
        """Raises RefusedError."""
        moment, now = moment_of(request.nonce), self._backend.clock()
        if request.protocol < PROTOCOL:
            STARTING_UNCORRECTED.check(moment, now, 0)
        else:
            STARTING.check(moment, now, self._backend.roster.since)

    async def spend(self, request: Execute) -> None:
        """Never grant this very start, which was refused; whoever made it makes another."""
        now = self._backend.clock()
        moment = min(moment_of(request.nonce) or 0, now + DAY_MS)
        if moment + STARTING.past_ms <= now:
            return  # refused without anybody remembering it
        instance_id = self._backend.keyring.instance_id(request.loader, request.nonce)
        await self._backend.roster.spend(instance_id, moment, max(moment, now) + STARTING.past_ms)

    async def _start(self, request: Execute, address: str, body: bytes) -> list[bytes]:
        backend = self._backend
        keyring = backend.keyring
        owner = backend.licences.known_owner(request.script_id) or await backend.licences.owner(request.script_id)
        if owner is None:
            raise RefusedError(SCRIPT_NOT_FOUND)
        fingerprint = None
        if request.fingerprint:
            fingerprint = keyring.fingerprint(owner.project, "fingerprint", request.fingerprint)
        origin = _Origin(fingerprint, keyring.fingerprint(owner.project, "ip", address))
        instance_id = keyring.instance_id(request.loader, request.nonce)
        moment = 0 if request.protocol < PROTOCOL else moment_of(request.nonce) or 0
        earliest = 0
        for _ in range(_ATTEMPTS):
            now = max(backend.clock(), earliest)
            facts, granted = await self._decide(owner, request, origin, address, now)
            holder = _holder(facts, origin)
            payload = await self._payload(request.script_id, facts, holder)
            instance = Instance(
                id=instance_id,
                script_id=owner.script,  # one text for all of a script's instances
                project_id=owner.project,
                user_id=facts.user_id,
                build=request.build or facts.build,
                started_at=now,
                alive_until=now,
                fingerprint=fingerprint,
            )
            try:
                await backend.roster.claim(
                    instance,
                    granted.max_instances,
                    beats=bool(facts.use_heartbeat),
                    place_ms=facts.place_ms,
                    moment=moment,
                )
            except AliveAlreadyError:  # a repeated start has the first one's id
                self._check_moment(request)  # or the memory began anew meanwhile, and the client is to be told the time
                raise RefusedError(REPLAYED) from None
            except NoPlaceError:
                refusal = no_place(facts)
                self._note(refusal, request, facts.user_id, origin, now)
                raise RefusedError(refusal) from None
            leased = None
            if facts.offline_days and request.keeps_leases and may_be_leased(facts, granted, fingerprint):
                leased = term(now, facts.offline_days, granted.key_expires)
            execution = Execution(
                id=instance_id,
                project_id=instance.project_id,
                script_id=instance.script_id,
                build=facts.build,
                user_id=facts.user_id,
                premium=granted.premium,
                seen_executions=facts.executions,
                seen_expires=facts.key_expires,
                seen_build=facts.build if facts.current_build is None else facts.current_build,
                seen_plan=facts.plan,
                fingerprint=fingerprint,
                ip=origin.ip,
                executor=request.executor or UNKNOWN_EXECUTOR,
                started_at=now,
                leased_until=None if leased is None else leased.grace,
            )
            use = await self._write(execution)
            if use is None and facts.user_id is not None:
                earliest = await self._log.earliest_start(facts.user_id)
            if use is not None:
                if execution.user_id is not None:
                    backend.history.started(execution, address, is_hooked=request.hooked)
                if facts.user_id is not None and is_first_use(facts, granted):
                    await backend.roster.user_changed(facts.user_id)
                reply, keys = self._reply(request, facts, execution, use, payload)
                run_key = self._payloads.run_key(request.script_id, payload, holder)
                if run_key is not None:
                    reply.run_key = run_key
                if leased is not None:
                    # Edited since the verdict, for all we know.
                    leased = leased.within(use.key_expires)
                    reply.lease = self._lease(request, execution, payload, leased, reply)
                if facts.report_errors and request.reports and request.protocol >= PROTOCOL:
                    reply.reports = True
                    if request.build is None:
                        self._compare(facts, execution)
                if request.protocol < PROTOCOL:
                    return reply.sealed(keys, payload)
                proof = await backend.signatures_for(request.loader).proof(_START + sha256(body) + reply.transcript())
                return reply.signed(proof, payload)
        raise RefusedError(UNAVAILABLE)

    async def _payload(self, script: str, facts: StartFacts, user: str) -> SealedPayload:
        """Raises RefusedError."""
        holder = user if facts.mark_copies else EVERYBODY
        payload = self._payloads.kept(script, facts.build, holder) or await self._payloads.of(
            script, facts.build, holder
        )
        if payload is not None and payload.lock is not None and (facts.loader_version or 0) < FIRST_WITH_RUN_KEYS:
            payload = await self._payloads.with_run_key(script, facts.build, holder, user)
        if payload is None:
            raise RefusedError(SCRIPT_NOT_FOUND)
        return payload

    def _compare(self, facts: StartFacts, execution: Execution) -> None:
        """Have the start compared with others, where it takes part in a rollout."""
        is_new = is_on_new_build(facts, execution.fingerprint)
        if is_new is None or facts.plan is None:
            return
        share = plan_of(facts.plan).rollout
        holder = execution.user_id or (execution.fingerprint or b"").hex()
        assert share is not None  # it takes part in it
        self._reports.started(
            RolloutStart(
                instance=execution.id,
                rollout_id=share.id,
                is_new=is_new,
                basis_points=share.basis_points,
                holder=self._backend.keyring.fingerprint(execution.project_id, "rollout", holder)[:_HOLDER_BYTES],
                started_at=execution.started_at,
            )
        )

    async def _decide(
        self, owner: Owner, request: Execute, origin: _Origin, address: str, now: int
    ) -> tuple[StartFacts, Granted]:
        key_hash = self._backend.keyring.user_key_hash(request.key) if request.key else None
        question = StartQuestion(request.script_id, request.loader, key_hash, origin.fingerprint, now)
        facts = await self._backend.licences.for_start(owner, question)
        if facts is not None and facts.user_id is None and request.key:
            facts = await self._with_older_keys(facts, owner, request.key, question)
        if facts is not None and facts.has_barred_networks:
            network = network_of(address)
            if network is not None:
                hashed = self._backend.keyring.fingerprint(owner.project, "network", network)
                facts = await self._backend.licences.in_network(facts, hashed, now)
        if facts is not None and facts.locked_to is not None:
            here = lock_of(self._backend.keyring, owner.project, address)
            facts = msgspec.structs.replace(
                facts,
                is_locked_elsewhere=is_elsewhere(facts.locked_to, here),
                is_device_full=await self._backend.licences.has_full_device(facts, origin.fingerprint, now - DAY_MS),
            )
        has_key = key_hash is not None
        verdict = decide_start(
            facts,
            Start(has_key, origin.fingerprint, request.supports_sessions, request.build),
            self._backend.policy,
            now,
        )
        if isinstance(verdict, Refusal):
            if facts is not None and verdict is EXECUTION_LIMIT_REACHED and await self._has_no_place(facts):
                verdict = no_place(facts)
            if facts is not None:
                self._note(verdict, request, facts.user_id, origin, now)
            raise RefusedError(verdict)
        assert facts is not None  # no script, no grant
        if request.protocol < PROTOCOL <= protocol_of(facts.loader_version):
            raise invalid(f"this loader speaks protocol {PROTOCOL}")
        if facts.plan is not None:
            facts = with_build_given(facts, origin.fingerprint)
        return facts, verdict

    async def _with_older_keys(
        self, facts: StartFacts, owner: Owner, key: str, question: StartQuestion
    ) -> StartFacts | None:
        """The facts about a user who is not found under the current master key, but may still be under an older one."""
        for older in self._backend.keyring.older:
            under = msgspec.structs.replace(question, key_hash=older.user_key_hash(key))
            found = await self._backend.licences.for_start(owner, under)
            if found is None or found.user_id is not None:
                return found
        return facts

    def _note(self, refusal: Refusal, request: Execute, user_id: str | None, origin: _Origin, now: int) -> None:
        if user_id is not None:
            self._backend.history.refused(
                NewRefusal(
                    user_id=user_id,
                    code=refusal.code,
                    moment="start",
                    script_id=request.script_id,
                    fingerprint=origin.fingerprint,
                    ip=origin.ip,
                    executor=request.executor or None,
                    refused_at=now,
                )
            )

    async def _has_no_place(self, facts: StartFacts) -> bool:
        """For the order of refusals. A start that is granted is counted when it claims its place."""
        if facts.user_id is None or facts.places is None:
            return False
        return await self._backend.roster.instances_of(facts.user_id) >= facts.places

    async def _write(self, execution: Execution) -> Use | None:
        """Commit the execution; None when the verdict has to be made anew. Raises RefusedError, StorageError."""
        try:
            return await self._log.record(execution)
        except OvertakenError:
            await self._backend.roster.release(execution.id)
            return None
        except RepeatedError:
            await self._backend.roster.release(execution.id)
            raise RefusedError(REPLAYED) from None
        except BaseException:
            await self._backend.roster.release(execution.id)
            raise

    def _reply(
        self, request: Execute, facts: StartFacts, execution: Execution, use: Use, payload: SealedPayload
    ) -> tuple[StartReply, ExecuteKeys]:
        granted = Granted(execution.premium, use.key_expires)
        claims = Claims(
            instance=execution.id,
            script=execution.script_id,
            loader=request.loader,
            build=request.build or execution.build,
            user_id=execution.user_id,
            fingerprint=execution.fingerprint,
            supports_sessions=request.supports_sessions,
            started_at=execution.started_at,
            roblox_id=request.roblox_id,
            place_id=request.place_id,
            job_id=request.job_id,
            expires_at=execution.started_at + TOKEN_MS if request.protocol >= PROTOCOL else None,
            version=CLAIMS_VERSION,
        )
        nonce = new_id()
        keys = self._backend.loader_keys(request.loader).execute(request.nonce, nonce)
        variables = start_variables(
            facts,
            granted,
            executions=use.executions,
            supports_sessions=request.supports_sessions,
            now_ms=execution.started_at,
        )
        is_signed = request.protocol >= PROTOCOL
        reply = StartReply(
            success=True,
            instance=execution.id,
            nonce=nonce,
            token=issue(self._backend.keyring, claims),
            heartbeat_seconds=self._heartbeat_seconds if facts.use_heartbeat else None,
            session=SESSION_PATH if request.supports_sessions else None,
            session_required=bool(facts.require_sessions),
            variables=variables,
            payload_key=keys.wrap(payload.key),
            payload_digest=payload.digest if is_signed else msgspec.UNSET,
            time=self._time() if is_signed else msgspec.UNSET,
        )
        return reply, keys

    def _lease(
        self, request: Execute, execution: Execution, payload: SealedPayload, leased: Term, reply: StartReply
    ) -> str:
        assert request.fingerprint is not None  # or there is no lease
        return leases.statement(
            self._backend.keyring,
            leases.Kind.LEASE,
            leases.Holder(
                script=execution.script_id, loader=request.loader, key=request.key, fingerprint=request.fingerprint
            ),
            leases.Payload(
                build=execution.build,
                key=payload.key,
                digest=payload.digest,
                run_key=None if reply.run_key is msgspec.UNSET else reply.run_key,
            ),
            leased,
            user_id=execution.user_id,
            variables=reply.variables,
        )
