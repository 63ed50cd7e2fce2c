"""Makes deliveries: claims what is due, sends it, writes down what came of it. A crash at any moment sends something twice and forgets nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from moonlatch import crypto
from moonlatch.clock import monotonic_seconds
from moonlatch.crypto import UnreadableSecretError
from moonlatch.licensing.discord_message import MOST_EMBEDS
from moonlatch.licensing.webhooks import (
    FAILING_MS,
    OLDEST_MS,
    EndpointKind,
    Fate,
    Verdict,
    judged,
    next_attempt_ms,
    pause_ms,
)
from moonlatch.metrics.counts import DeliveryCounts
from moonlatch.operations.calls import RENDERED
from moonlatch.operations.changing import keyring_of
from moonlatch.operations.context import World
from moonlatch.operations.endpoints import (
    keep_old_settings,
    secrets_of,
    signed_headers,
    url_of,
)
from moonlatch.storage import deliveries
from moonlatch.storage.deliveries import Claimed, Delivery, Outcome
from moonlatch.storage.endpoints import Endpoint
from moonlatch.storage.interface import StorageError, Transaction
from moonlatch.web.destination import destination_of
from moonlatch.web.exchange import Answer
from moonlatch.web.outgoing import Bounds, CallError, Outgoing
from moonlatch.webhooks.discord import embed_of, message_of, with_wait
from moonlatch.webhooks.lanes import Lane, Traffic
from moonlatch.webhooks.masking import kept_answer
from moonlatch.webhooks.outcomes import Outcomes
from moonlatch.webhooks.payload import payload_of

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
ROUND_SECONDS = 0.01
"""Between two rounds when there is much to do, so that others get their turn."""

ANSWER_BYTES = 65_536
CLAIMS_AT_ONCE = 64
"""Endpoints of one transaction."""

ENDING_SECONDS = 5.0
"""For so long the end of the program waits for calls that go on."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What came of one call. `error` says why there was no answer."""

    at: int
    milliseconds: int
    answer: Answer | None
    error: str | None


class Deliverer:
    """Delivers from one database, together with any number of others. Belongs to one event loop.

    `is_alone`: no other process delivers from it, so what is claimed at the start was claimed by one that died.
    """

    def __init__(self, world: World, client: Outgoing, *, timeout_seconds: float, most: int, is_alone: bool) -> None:
        self.counts = DeliveryCounts()
        self._world = world
        self._client = client
        self._keyring = keyring_of(world)
        self._bounds = Bounds(timeout_seconds, ANSWER_BYTES)
        self._lease_ms = round(4000 * timeout_seconds)
        self._is_alone = is_alone
        self._traffic = Traffic(most)
        self._name = crypto.new_id()[:16]
        self._claims = 0
        self._calls: set[asyncio.Task[None]] = set()
        self._outcomes = Outcomes(world)
        self._lacks_room = False
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled."""
        writing = asyncio.create_task(self._outcomes.run(), name="webhook outcomes")
        try:
            await self._begin()
            while True:
                self._wake.clear()
                try:
                    await self._round()
                except StorageError as error:
                    logger.warning("webhooks wait for the database: %s", type(error).__name__)
                    await asyncio.sleep(POLL_SECONDS)
                except Exception:
                    logger.exception("webhooks could not be claimed; the next attempt follows")
                    await asyncio.sleep(POLL_SECONDS)
                await asyncio.sleep(ROUND_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
        finally:
            writing.cancel()
            await self._end()

    async def _begin(self) -> None:
        while True:
            try:
                if self._is_alone:
                    await self._world.database.run(
                        lambda tx: deliveries.release_all(tx, now=self._world.clock()), is_guarded=True
                    )
                await keep_old_settings(self._world)
            except StorageError as error:
                logger.warning("webhooks wait for the database: %s", type(error).__name__)
                await asyncio.sleep(POLL_SECONDS)
            except Exception:
                logger.exception("webhooks of before could not be taken over")
                return
            else:
                return

    async def _end(self) -> None:
        """Give back what was not begun, let calls that go on end, and write down what came of them."""
        left = [each.delivery for each in self._traffic.left()]
        if self._calls:
            _, late = await asyncio.wait(self._calls, timeout=ENDING_SECONDS)
            for call in late:
                call.cancel()
        now = self._world.clock()
        with contextlib.suppress(StorageError):
            await self._world.database.run(lambda tx: deliveries.release(tx, left, next_at=now), is_guarded=True)
        with contextlib.suppress(StorageError):
            await self._outcomes.write()

    # --- claiming

    async def _round(self) -> None:
        now = self._world.clock()
        wanted: list[tuple[Lane, int]] = []
        self._lacks_room = False
        for endpoint in await endpoints_due(self._world, now):
            lane = self._traffic.lane(endpoint)
            want = self._traffic.wants(lane, monotonic_seconds())
            if want:
                wanted.append((lane, want))
            elif lane.may_be_asked(monotonic_seconds()):
                self._lacks_room = True
        for begin in range(0, len(wanted), CLAIMS_AT_ONCE):
            await self._claim(wanted[begin : begin + CLAIMS_AT_ONCE], now)

    async def _claim(self, wanted: Sequence[tuple[Lane, int]], now: int) -> None:
        self._claims += 1
        claimed_by = f"{self._name}-{self._claims}"

        async def claim(tx: Transaction) -> list[tuple[Lane, list[Claimed]]]:
            return [
                (
                    lane,
                    await deliveries.claim(
                        tx, lane.endpoint.id, claimed_by=claimed_by, now=now, until=now + self._lease_ms, most=most
                    ),
                )
                for lane, most in wanted
            ]

        for lane, claimed in await self._world.database.run(claim, is_guarded=True):
            if claimed:
                self._traffic.fill(lane, claimed)
                self._start(lane.endpoint.account_id)

    # --- sending

    def _start(self, account_id: str) -> None:
        while (lane := self._traffic.starting(account_id)) is not None:
            call = asyncio.create_task(self._send_next(lane, was_known=lane.is_known), name="webhook")
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _send_next(self, lane: Lane, *, was_known: bool) -> None:
        account_id = lane.endpoint.account_id
        try:
            batch = self._next(lane)
            if batch:
                await self._send(lane, batch)
        except Exception:
            logger.exception("a webhook could not be sent")
            lane.failed(monotonic_seconds())
        finally:
            self._traffic.ended(lane, was_known=was_known)
            # A lane that failed is left alone for a while: what else is due there is no reason to look.
            if self._lacks_room or lane.may_be_asked(monotonic_seconds()):
                self._wake.set()
            self._start(account_id)

    def _next(self, lane: Lane) -> list[Claimed]:
        """What goes into one call: of Discord's, several, but for what is a message already."""
        batch: list[Claimed] = []
        most = MOST_EMBEDS if lane.endpoint.kind == EndpointKind.DISCORD else 1
        latest = self._world.clock() + round(1000 * self._bounds.seconds)
        while lane.queue and len(batch) < most:
            is_message = lane.queue[0].delivery.kind == RENDERED
            if is_message and batch:
                break
            claimed = lane.queue.popleft()
            if (claimed.delivery.next_at or 0) > latest:  # else it would be somebody else's before the call ends
                batch.append(claimed)
                if is_message:
                    break
        return batch

    async def _send(self, lane: Lane, batch: list[Claimed]) -> None:
        endpoint = lane.endpoint
        try:
            url = url_of(self._keyring, endpoint)
        except UnreadableSecretError:
            self._outcomes.note_dead(endpoint, "its secrets were sealed under another master key")
            return
        if endpoint.kind == EndpointKind.DISCORD and batch[0].delivery.kind == RENDERED:
            sendable, body = batch, (batch[0].delivery.body or "").encode()
            headers, url = {"Content-Type": "application/json"}, with_wait(url)
        elif endpoint.kind == EndpointKind.DISCORD:
            embeds = {each.delivery.id: embed_of(each, endpoint.project_id) for each in batch}
            sendable = [each for each in batch if embeds[each.delivery.id] is not None]
            body = message_of([embed for embed in embeds.values() if embed is not None])
            headers, url = {"Content-Type": "application/json"}, with_wait(url)
        else:
            payload = payload_of(batch[0])
            sendable, body = (batch, payload) if payload is not None else ([], b"")
            now = self._world.clock()
            secrets = secrets_of(self._keyring, endpoint, now=now)
            headers = signed_headers(batch[0].delivery.id, body, secrets, now_seconds=now // 1000)
        for claimed in batch:
            if claimed not in sendable:
                self._note(claimed.delivery, _Sent(self._world.clock(), 0, None, "the event is no longer kept"), None)
        if not sendable:
            return
        sent = await self._call(url, headers, body)
        self._judge(lane, [each.delivery for each in sendable], sent, url)

    async def _call(self, url: str, headers: dict[str, str], body: bytes) -> _Sent:
        at, began = self._world.clock(), monotonic_seconds()
        answer, error = None, None
        try:
            answer = await self._client.call(
                "POST", destination_of(url), headers=headers, content=body, bounds=self._bounds
            )
        except CallError as failed:
            error = str(failed)
        seconds = monotonic_seconds() - began
        self.counts.seconds.add(seconds)
        return _Sent(at, round(1000 * seconds), answer, error)

    # --- what comes of it

    def _judge(self, lane: Lane, sent_together: Sequence[Delivery], sent: _Sent, url: str) -> None:
        endpoint, answer = lane.endpoint, sent.answer
        kind = EndpointKind(endpoint.kind)
        headers = {} if answer is None else answer.headers
        verdict = judged(kind, None if answer is None else answer.status, headers)
        if verdict.fate is Fate.DELIVERED:
            lane.worked()
            if endpoint.failing_since is not None:
                self._outcomes.note_working(endpoint)
        else:
            lane.failed(monotonic_seconds())
        wait = max(verdict.wait_ms if verdict.fate is not Fate.DELIVERED else 0, pause_ms(kind, headers))
        if wait:
            lane.paused_until = max(lane.paused_until, monotonic_seconds() + wait / 1000)
        if wait or verdict.fate is not Fate.DELIVERED:
            self._give_back(lane)
        for delivery in sent_together:
            self._note(delivery, sent, verdict, url)
        if verdict.fate is Fate.GONE:
            assert answer is not None
            self._outcomes.note_dead(endpoint, f"it answered with status {answer.status}")
        elif verdict.fate is Fate.FAILED:
            since = endpoint.failing_since
            if since is None:
                self._outcomes.note_failing(endpoint, since=sent.at)
            elif sent.at - since >= FAILING_MS:
                self._outcomes.note_dead(endpoint, "nothing arrived there for 5 days")

    def _give_back(self, lane: Lane) -> None:
        """Let go of what else was claimed for an endpoint that is to be left alone; it is claimed again behind the pause."""
        left = [each.delivery for each in lane.queue]
        lane.queue.clear()
        if left:
            now = self._world.clock()
            task = asyncio.create_task(self._release(left, now), name="webhook release")
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _release(self, left: list[Delivery], now: int) -> None:
        with contextlib.suppress(StorageError):  # their claim ends by itself
            await self._world.database.run(lambda tx: deliveries.release(tx, left, next_at=now), is_guarded=True)

    def _note(self, delivery: Delivery, sent: _Sent, verdict: Verdict | None, url: str = "") -> None:
        """Remember what came of an attempt; without a verdict there is nothing to be tried again."""
        next_at, step = None, delivery.step
        if verdict is not None and verdict.fate in (Fate.FAILED, Fate.PUT_OFF):
            wait = next_attempt_ms(step, verdict, crypto.random_fraction())
            if wait is not None and sent.at - delivery.created_at < OLDEST_MS:
                next_at = sent.at + wait
                step += verdict.fate is Fate.FAILED
        if verdict is not None and verdict.fate is Fate.DELIVERED:
            outcome = "delivered"
        else:
            outcome = "given_up" if next_at is None else "to_be_tried_again"
        self.counts.outcomes[outcome] += 1
        answer = sent.answer
        self._outcomes.add(
            Outcome(
                delivery_id=delivery.id,
                claimed_by=delivery.claimed_by or "",
                at=sent.at,
                milliseconds=sent.milliseconds,
                status=None if answer is None else answer.status,
                error=sent.error,
                answer=None if answer is None else kept_answer(answer.body, url),
                next_at=next_at,
                step=step,
                delivered_at=sent.at if verdict is not None and verdict.fate is Fate.DELIVERED else None,
            )
        )


async def endpoints_due(world: World, now: int) -> list[Endpoint]:
    """Endpoints to which something is due, in no order that would put one before the others each time."""
    found = await deliveries.waiting_endpoints(world.database, now=now)
    begin = int(len(found) * crypto.random_fraction())
    return found[begin:] + found[:begin]
