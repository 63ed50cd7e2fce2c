import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.live.shared_limits import limits_in
from moonlatch.storage.sqlite.engine import SqliteDatabase
from moonlatch.web.limits import Allowance, Buckets
from support.live import redis_live

gaps = st.lists(st.floats(min_value=0, max_value=5), max_size=200)


def taken(taking: Coroutine[Any, Any, Allowance]) -> Allowance:
    """What a limit of this process answers, which waits for nothing."""
    with pytest.raises(StopIteration) as done:
        taking.send(None)
    allowance: Allowance = done.value.value
    return allowance


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_burst_passes_at_once_and_then_one_per_interval() -> None:
    time = Time()
    buckets = Buckets(per_second=2, burst=3, monotonic_seconds=time)
    assert [(await buckets.take("a")).allowed for _ in range(4)] == [True, True, True, False]
    time.seconds += 0.5
    assert [(await buckets.take("a")).allowed for _ in range(2)] == [True, False]


async def test_each_name_has_a_bucket_of_its_own() -> None:
    buckets = Buckets(per_second=1, burst=1, monotonic_seconds=Time())
    assert (await buckets.take("a")).allowed
    assert (await buckets.take("b")).allowed
    assert not (await buckets.take("a")).allowed


async def test_a_refusal_says_when_to_come_back_and_coming_back_then_works() -> None:
    time = Time()
    buckets = Buckets(per_second=0.1, burst=1, monotonic_seconds=time)
    await buckets.take("a")
    refused = await buckets.take("a")
    assert (refused.allowed, refused.remaining, refused.retry_after_seconds) == (False, 0, 10)
    time.seconds += refused.retry_after_seconds
    assert (await buckets.take("a")).allowed


async def test_an_allowance_counts_down_and_says_when_it_is_whole_again() -> None:
    buckets = Buckets(per_second=50, burst=50, monotonic_seconds=Time())
    allowance = await buckets.take("a")
    assert allowance.headers() == [
        (b"ratelimit-limit", b"50"),
        (b"ratelimit-remaining", b"49"),
        (b"ratelimit-reset", b"1"),
    ]


async def test_no_more_buckets_are_kept_than_allowed_and_the_longest_unused_go_first() -> None:
    buckets = Buckets(per_second=1, burst=1, monotonic_seconds=Time(), most=2)
    for name in ("a", "b", "a", "c"):
        await buckets.take(name)
    assert not (await buckets.take("a")).allowed
    assert (await buckets.take("b")).allowed


async def test_buckets_that_are_full_again_are_forgotten() -> None:
    time = Time()
    buckets = Buckets(per_second=1, burst=2, monotonic_seconds=time)
    for number in range(100):
        await buckets.take(f"address {number}")
    time.seconds += 0.5
    await buckets.take("one that calls soon")
    assert len(buckets._levels) == 101
    time.seconds += 1
    for _ in range(60):
        await buckets.take("one that calls again and again")
    assert list(buckets._levels) == ["one that calls again and again"]


@given(gaps)
def test_never_more_than_burst_and_rate_allow(gaps: list[float]) -> None:
    time = Time()
    start = time.seconds
    buckets = Buckets(per_second=3, burst=5, monotonic_seconds=time)
    allowed = 0
    for gap in gaps:
        time.seconds += gap
        allowed += taken(buckets.take("a")).allowed
        assert allowed <= 5 + 3 * (time.seconds - start) + 1e-6


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_limit_that_lets_nothing_through_is_refused(per_second: float, burst: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Buckets(per_second=per_second, burst=burst, monotonic_seconds=Time())


async def test_two_processes_fill_from_one_bucket(redis_url: str, database: SqliteDatabase) -> None:
    async with redis_live(redis_url, database) as one, redis_live(redis_url, database) as other:
        limits = [limits_in(live._directory)("kind", per_second=0.5, burst=7) for live in (one, other)]
        answers = [await limits[number % 2].take("name") for number in range(10)]
        assert [answer.allowed for answer in answers] == [True] * 7 + [False] * 3
        assert [answer.remaining for answer in answers] == [6, 5, 4, 3, 2, 1, 0, 0, 0, 0]
        assert answers[0].reset_seconds == 2
        assert answers[6].reset_seconds == answers[9].reset_seconds == 14
        assert answers[9].retry_after_seconds in {1, 2}
        assert (await limits[0].take("another")).allowed
        assert (await limits_in(one._directory)("other", per_second=1, burst=1).take("name")).allowed


async def test_a_shared_bucket_fills_again(redis_url: str, database: SqliteDatabase) -> None:
    async with redis_live(redis_url, database) as live:
        limit = limits_in(live._directory)("kind", per_second=1, burst=2)
        assert [(await limit.take("name")).allowed for _ in range(3)] == [True, True, False]
        await asyncio.sleep(1.01)
        assert (await limit.take("name")).allowed


async def test_without_redis_each_process_counts_alone(redis_url: str, database: SqliteDatabase) -> None:
    async with redis_live(redis_url, database) as live:
        limit = limits_in(live._directory)("kind", per_second=0.1, burst=2)
        await live.close()
        assert [(await limit.take("name")).allowed for _ in range(3)] == [True, True, False]
