"""The lists of open sessions: in their order, by page, and the same whichever way a filter finds them."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from moonlatch.live.directory import Directory
from moonlatch.live.interface import Session, SessionFilter
from moonlatch.live.records import read_session, session_record


def session(number: int, **changes: object) -> Session:
    fields = {
        "id": f"session {number:03}",
        "instance_id": f"instance {number}",
        "script_id": "script",
        "project_id": "project",
        "user_id": None,
        "roblox_id": None,
        "place_id": None,
        "job_id": None,
        "created_at": number,
        "executor": None,
        "build": 1,
        **changes,
    }
    return Session(**fields)  # type: ignore[arg-type]


def filled(*sessions: Session) -> Directory:
    directory = Directory()
    for one in sessions:
        directory.add(one)
    return directory


def numbers(page: list[Session]) -> list[int]:
    return [int(one.id.split()[1]) for one in page]


def test_sessions_are_listed_by_their_time_and_then_by_their_id() -> None:
    directory = filled(session(3), session(1), session(2, created_at=1), session(0, created_at=9))
    assert numbers(directory.page("script", SessionFilter(), 0, 10)) == [1, 2, 3, 0]


def test_a_page_holds_a_scripts_own_sessions_from_its_start_on() -> None:
    directory = filled(*(session(number) for number in range(9)), session(50, script_id="other"))
    assert numbers(directory.page("script", SessionFilter(), 2, 3)) == [2, 3, 4]
    assert numbers(directory.page("script", SessionFilter(), 8, 3)) == [8]
    assert directory.page("script", SessionFilter(), 9, 3) == directory.page("nobody's", SessionFilter(), 0, 9) == []
    assert (directory.count("script"), directory.count("other"), directory.count("nobody's")) == (9, 1, 0)


@pytest.mark.parametrize("seed", range(5))
def test_every_filter_finds_what_looking_at_each_session_finds(seed: int) -> None:
    random = Random(seed)
    present: dict[str, Session] = {}
    directory = Directory()
    for number in range(400):
        if present and random.random() < 0.3:
            directory.remove(present.pop(random.choice(list(present))))
            continue
        one = session(
            number,
            script_id=random.choice(["script", "other"]),
            user_id=random.choice([None, "a", "b"]),
            roblox_id=random.choice([None, 1, 2]),
            place_id=random.choice([None, 1]),
            job_id=random.choice([None, "1", "2"]),
            created_at=random.randrange(50),
        )
        directory.add(one)
        present[one.id] = one
    for _ in range(100):
        where = SessionFilter(
            user_id=random.choice([None, "a", "z"]),
            roblox_id=random.choice([None, 1]),
            place_id=random.choice([None, 1]),
            job_id=random.choice([None, "1"]),
        )
        given = {name: value for name in where.__struct_fields__ if (value := getattr(where, name)) is not None}
        expected = sorted(
            (one for one in present.values() if one.script_id == "script" and fits(one, given)),
            key=lambda one: (one.created_at, one.id),
        )
        assert directory.page("script", where, 3, 20) == expected[3:23]


def fits(one: Session, given: dict[str, object]) -> bool:
    return all(getattr(one, name) == value for name, value in given.items())


def test_a_record_of_an_earlier_version_is_read() -> None:
    record = session_record("process", session(1, executor="Delta", build=7))
    assert read_session("session 001", msgspec.msgpack.encode(record)).session == session(1, executor="Delta", build=7)
    assert read_session("session 001", msgspec.msgpack.encode(record[:-2])).session == session(
        1, executor=None, build=0
    )
