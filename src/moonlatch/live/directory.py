"""The open sessions as lists show them: in their order, by page, and found by a filter without going through all of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice

from moonlatch.live.interface import Session, SessionFilter

_Place = tuple[int, str]
_Name = tuple[str, str, str | int]


class Directory:
    """Sessions by script, and by each thing a filter may name; oldest first (by `created_at`, then id)."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._rolls: dict[_Name, list[_Place]] = {}

    def add(self, session: Session) -> None:
        self._sessions[session.id] = session
        place = session.created_at, session.id
        for name in _names(session):
            # Nearly always the last one, and moving a long list's pointers by one is quick.
            insort(self._rolls.setdefault(name, []), place)

    def remove(self, session: Session) -> None:
        """Take a session out that is there."""
        del self._sessions[session.id]
        place = session.created_at, session.id
        for name in _names(session):
            roll = self._rolls[name]
            del roll[bisect_left(roll, place)]
            if not roll:
                del self._rolls[name]

    def count(self, script_id: str) -> int:
        return len(self._rolls.get(_of_script(script_id), ()))

    def page(self, script_id: str, where: SessionFilter, offset: int, limit: int) -> list[Session]:
        """The sessions of a script that fit, from the one with that index on."""
        given = list(_conditions(script_id, where))
        rolls = [self._rolls.get(name, []) for name in given] or [self._rolls.get(_of_script(script_id), [])]
        shortest = min(rolls, key=len)
        if len(rolls) == 1:
            return [self._sessions[session_id] for _, session_id in shortest[offset : offset + limit]]
        fitting = (self._sessions[session_id] for _, session_id in shortest)
        return list(islice((one for one in fitting if _fits(one, where)), offset, offset + limit))


def _of_script(script_id: str) -> _Name:
    return script_id, "", ""


def _names(session: Session) -> Iterator[_Name]:
    yield _of_script(session.script_id)
    for field in SessionFilter.__struct_fields__:
        value = getattr(session, field)
        if value is not None:
            yield session.script_id, field, value


def _conditions(script_id: str, where: SessionFilter) -> Iterator[_Name]:
    for field in SessionFilter.__struct_fields__:
        value = getattr(where, field)
        if value is not None:
            yield script_id, field, value


def _fits(session: Session, where: SessionFilter) -> bool:
    return (
        where.user_id in (None, session.user_id)
        and where.roblox_id in (None, session.roblox_id)
        and where.place_id in (None, session.place_id)
        and where.job_id in (None, session.job_id)
    )
