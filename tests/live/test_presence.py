"""Leases: who counts as alive. A model with plain sets says what to expect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.live.interface import EARLIEST_MOMENT, KEPT_MOMENTS_MS, AliveAlreadyError, Instance, NoPlaceError
from moonlatch.live.memory import lease_ms
from moonlatch.live.presence import Presence
from moonlatch.live.used import UsedMoments

LEASE = 100
RETURN = 30


def instance(name: str, key: str | None = "k", script: str = "s") -> Instance:
    return Instance(id=name, script_id=script, project_id="p", user_id=key, build=1, started_at=0, alive_until=0)


def has_claimed(
    presence: Presence, one: Instance, limit: int | None, now: int, *, beats: bool = True, place_ms: int = 0
) -> bool:
    try:
        presence.claim(one, limit, now, beats=beats, place_ms=place_ms)
    except NoPlaceError:
        return False
    return True


def test_of_single_moments_none_is_taken_again_however_many_others_are() -> None:
    used, kept = UsedMoments(most_exact=100), 1_000
    assert used.take("recorded", 50, 0, kept)
    assert all(used.take("flood", 51 + number, 0, kept) for number in range(1_000))
    assert not used.take("recorded", 50, 0, kept)
    assert used.take("another", 2_000, 0, kept)
    assert used.take("recorded", 3_000, kept, kept)
    assert len(used._exact) == 1


def test_of_copies_that_ended_none_is_taken_again_however_many_others_end() -> None:
    presence = Presence(LEASE, RETURN)
    presence.used = used = UsedMoments(most=100)
    first = EARLIEST_MOMENT
    for number in range(1_000):
        used.note(f"copy {number}", first + number, number, KEPT_MOMENTS_MS)
    known = [number for number in range(1_000) if used.of(f"copy {number}")]
    assert known == list(range(900, 1_000))
    # Of the others nobody knows, and everything up to then is refused, whoever's it is.
    assert used.since == first + 899
    with pytest.raises(AliveAlreadyError):
        presence.claim(instance("copy 950"), None, 1_000, beats=True)


def test_a_lease_outlives_three_late_beats() -> None:
    assert 3 * 33_000 < lease_ms(30) < 4 * 30_000


def test_an_instance_is_alive_for_a_lease() -> None:
    presence = Presence(LEASE, RETURN)
    assert has_claimed(presence, instance("a"), None, 0)
    assert presence.find("a", LEASE - 1) is not None
    assert presence.find("a", LEASE) is None
    assert len(presence) == 0


def test_a_limit_counts_those_alive_only() -> None:
    presence = Presence(LEASE, RETURN)
    assert has_claimed(presence, instance("a"), 1, 0)
    assert not has_claimed(presence, instance("b"), 1, 50)
    assert has_claimed(presence, instance("b"), 1, LEASE)
    presence.remove("b", 0)
    assert has_claimed(presence, instance("c"), 1, LEASE)


def test_an_instance_without_a_key_has_no_limit() -> None:
    presence = Presence(LEASE, RETURN)
    assert all(has_claimed(presence, instance(str(number), None), 1, 0) for number in range(3))
    assert presence.of_script("s", 0) == 3


def test_one_that_is_alive_is_not_claimed_again() -> None:
    presence = Presence(LEASE, RETURN)
    first = instance("a")
    has_claimed(presence, first, None, 0)
    with pytest.raises(AliveAlreadyError):
        has_claimed(presence, instance("a"), None, 1)
    assert presence.find("a", LEASE - 1) is first
    assert presence.of_key("k", LEASE) == 0
    assert has_claimed(presence, instance("a"), None, LEASE)


def test_nothing_is_kept_of_copies_that_are_over() -> None:
    presence = Presence(LEASE, RETURN)
    for number in (3, 1, 2):
        one = instance(str(number))
        one.started_at = number
        presence.claim(one, None, 0, beats=True)
    assert [name for _, name in presence._ages["k"]] == ["1", "2", "3"]
    presence.remove("2", 0)
    assert [name for _, name in presence._ages["k"]] == ["1", "3"]
    assert presence.alive(LEASE) == 0
    assert not presence._ages
    assert not presence._scripts


def test_those_whose_place_was_taken_are_told_so_for_a_while_and_forgotten() -> None:
    presence, now = Presence(LEASE, RETURN), 0
    for number in range(20):
        one = instance(str(number))
        one.fingerprint = b"device"
        presence.claim(one, 1, now, beats=True)
        now += LEASE - 1
    assert len(presence._superseded) == 19
    with pytest.raises(NoPlaceError) as refused:
        presence.require_place(instance("18"), 1, now)
    assert refused.value.refusal.code == "SUPERSEDED"
    now += 900_000
    presence.claim(instance("20"), 1, now, beats=True)
    with pytest.raises(NoPlaceError) as refused:
        presence.require_place(instance("18"), 1, now)
    assert refused.value.refusal.code == "TOO_MANY_INSTANCES"


def test_one_that_is_held_needs_no_lease() -> None:
    presence = Presence(LEASE, RETURN)
    one = instance("a")
    has_claimed(presence, one, None, 0)
    presence.hold(one)
    presence.renew(one, 10)
    assert presence.of_script("s", 10 * LEASE) == 1
    presence.let_go("a", 10 * LEASE)
    assert presence.of_key("k", 10 * LEASE + RETURN - 1) == 1
    assert presence.of_key("k", 10 * LEASE + RETURN) == 0


def test_a_copy_whose_session_ended_has_one_beat_to_go_on() -> None:
    assert 33_000 < lease_ms(30, beats=1) < 60_000
    presence = Presence(LEASE, RETURN)
    one = instance("a")
    presence.hold(one)
    presence.let_go("a", 0)
    presence.renew(one, RETURN - 1)
    assert presence.of_key("k", LEASE) == 1
    presence.hold(one)
    assert presence.of_key("k", 10 * LEASE) == 1
    assert presence.find("a", 10 * LEASE) is one


def test_when_room_is_short_those_without_their_session_go_first() -> None:
    presence = Presence(LEASE, RETURN, max_instances=2)
    has_claimed(presence, instance("beats"), None, 0)
    presence.hold(instance("left"))
    presence.let_go("left", 1)
    has_claimed(presence, instance("new"), None, 2)
    assert [name for name in ("beats", "left", "new") if presence.find(name, 2)] == ["beats", "new"]


def test_memory_is_bounded_and_the_longest_silent_go_first() -> None:
    presence = Presence(LEASE, RETURN, max_instances=3)
    for number in range(5):
        has_claimed(presence, instance(str(number)), None, number)
    assert [name for name in "01234" if presence.find(name, 5)] == ["2", "3", "4"]
    assert presence.of_key("k", 5) == 3


def test_when_room_is_short_places_that_outlast_their_leases_go_before_leases() -> None:
    presence = Presence(LEASE, RETURN, max_instances=3)
    for name, place_ms in (("a", 900), ("b", 500), ("c", 700)):
        has_claimed(presence, instance(name), 3, 0, place_ms=place_ms)
    presence.renew(instance("c"), LEASE)
    has_claimed(presence, instance("d", key="other"), 3, LEASE + 1)
    assert [name for name in "abcd" if presence.find(name, LEASE + 1)] == ["a", "c", "d"]


def test_nothing_is_kept_of_places_that_are_over_and_little_of_those_that_were_left() -> None:
    presence, now = Presence(LEASE, RETURN), 0
    one = instance("a")
    assert has_claimed(presence, one, 1, now, place_ms=10**9)
    for _ in range(5_000):  # it says something just after its lease, again and again
        now += LEASE
        assert presence.find("a", now) is one
        presence.renew(one, now)
    assert len(presence._ends_of_places) < 2_000
    assert presence.alive(10**9) == 0
    assert not presence._placed
    assert not presence._ages


steps = st.lists(
    st.tuples(
        st.sampled_from(["claim", "renew", "hold", "let_go", "remove", "wait"]),
        st.sampled_from("abc"),
        st.integers(0, 150),
    ),
    max_size=40,
)


@given(steps)
def test_counts_are_those_of_a_simple_model(actions: list) -> None:
    presence, now = Presence(LEASE, RETURN), 0
    leases: dict[str, int] = {}
    places: dict[str, int] = {}
    held: set[str] = set()
    alive: set[str] = set()
    known = {name: instance(name, key=name.upper()) for name in "abc"}
    for action, name, passed in actions:
        if action == "wait":
            now += passed
        elif action == "claim" and name not in alive:
            known[name] = instance(name, key=name.upper())
            presence.claim(known[name], 1, now, beats=False, place_ms=2 * passed)
            leases[name], places[name] = now + LEASE, now + 2 * passed
        elif action in ("claim", "renew"):
            presence.renew(known[name], now)
            if name not in held:
                leases[name] = now + LEASE
        elif action == "hold":
            presence.hold(known[name])
            held.add(name)
            leases.pop(name, None)
        elif action == "let_go":
            presence.let_go(name, now)
            if name in held:
                held.discard(name)
                leases[name] = now + RETURN
        else:
            presence.remove(name, now)
            held.discard(name)
            leases.pop(name, None)
            places.pop(name, None)
        alive = held | {one for ends in (leases, places) for one, until in ends.items() if until > now}
        assert presence.of_script("s", now) == len(alive)
        assert {one for one in "abc" if presence.find(one, now)} == alive
        assert sum(presence.of_key(one.upper(), now) for one in "abc") == len(alive)
