import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.management.limits import Buckets

gaps = st.lists(st.floats(min_value=0, max_value=5), max_size=200)


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_burst_passes_at_once_and_then_one_per_interval() -> None:
    time = Time()
    buckets = Buckets(per_second=2, burst=3, monotonic_seconds=time)
    assert [buckets.take("a").allowed for _ in range(4)] == [True, True, True, False]
    time.seconds += 0.5
    assert [buckets.take("a").allowed for _ in range(2)] == [True, False]


def test_each_name_has_a_bucket_of_its_own() -> None:
    buckets = Buckets(per_second=1, burst=1, monotonic_seconds=Time())
    assert buckets.take("a").allowed
    assert buckets.take("b").allowed
    assert not buckets.take("a").allowed


def test_a_refusal_says_when_to_come_back_and_coming_back_then_works() -> None:
    time = Time()
    buckets = Buckets(per_second=0.1, burst=1, monotonic_seconds=time)
    buckets.take("a")
    refused = buckets.take("a")
    assert (refused.allowed, refused.remaining, refused.retry_after_seconds) == (False, 0, 10)
    time.seconds += refused.retry_after_seconds
    assert buckets.take("a").allowed


def test_an_allowance_counts_down_and_says_when_it_is_whole_again() -> None:
    buckets = Buckets(per_second=50, burst=50, monotonic_seconds=Time())
    allowance = buckets.take("a")
    assert allowance.headers() == [
        (b"ratelimit-limit", b"50"),
        (b"ratelimit-remaining", b"49"),
        (b"ratelimit-reset", b"1"),
    ]


def test_no_more_buckets_are_kept_than_allowed_and_the_longest_unused_go_first() -> None:
    buckets = Buckets(per_second=1, burst=1, monotonic_seconds=Time(), most=2)
    for name in ("a", "b", "a", "c"):
        buckets.take(name)
    assert not buckets.take("a").allowed
    assert buckets.take("b").allowed


@given(gaps)
def test_never_more_than_burst_and_rate_allow(gaps: list[float]) -> None:
    time = Time()
    start = time.seconds
    buckets = Buckets(per_second=3, burst=5, monotonic_seconds=time)
    allowed = 0
    for gap in gaps:
        time.seconds += gap
        allowed += buckets.take("a").allowed
        assert allowed <= 5 + 3 * (time.seconds - start) + 1e-6


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_limit_that_lets_nothing_through_is_refused(per_second: float, burst: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Buckets(per_second=per_second, burst=burst, monotonic_seconds=Time())
