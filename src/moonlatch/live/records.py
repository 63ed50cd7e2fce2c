"""Sessions and instances as the directory keeps them: lists of texts and whole numbers, with false for what is not there.

`redis_directory.lua` names the positions it looks at.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from moonlatch.live.interface import Instance, Session, SessionFilter

Record = list[Any]

_decode = msgspec.msgpack.Decoder().decode


class Held(NamedTuple):
    """An open session and the process that holds its socket."""

    process: str
    session: Session


def session_record(process: str, session: Session) -> Record:
    return [
        process,
        session.instance_id,
        session.script_id,
        session.project_id,
        _or_false(session.user_id),
        _or_false(session.roblox_id),
        _or_false(session.place_id),
        _or_false(session.job_id),
        session.created_at,
        _or_false(session.executor),
        session.build,
    ]


def read_session(session_id: bytes | str, packed: bytes) -> Held:
    process, instance, script, project, user, roblox, place, job, created, *of_start = _decode(packed)
    executor, build = of_start or (False, 0)  # a process of an earlier version did not say
    session = Session(
        id=session_id if isinstance(session_id, str) else session_id.decode(),
        instance_id=instance,
        script_id=script,
        project_id=project,
        user_id=_or_none(user),
        roblox_id=_or_none(roblox),
        place_id=_or_none(place),
        job_id=_or_none(job),
        created_at=created,
        executor=_or_none(executor),
        build=build,
    )
    return Held(process, session)


def instance_record(instance: Instance) -> Record:
    return [
        instance.script_id,
        _or_false(instance.user_id),
        instance.sequence,
        _or_false(instance.session_due),
        ",".join(instance.nonces),
        instance.project_id,
        instance.build,
        instance.started_at,
        False if instance.fingerprint is None else instance.fingerprint.hex(),
    ]


def read_instance(instance_id: str, packed: bytes) -> Instance:
    """The instance as every process sees it; its lease is the directory's."""
    script, user, sequence, due, nonces, project, build, started, fingerprint, *_ = _decode(packed)
    return Instance(
        id=instance_id,
        script_id=script,
        project_id=project,
        user_id=_or_none(user),
        build=build,
        started_at=started,
        alive_until=0,
        sequence=sequence,
        fingerprint=None if fingerprint is False else bytes.fromhex(fingerprint),
        session_due=_or_none(due),
        nonces=tuple(nonces.split(",")) if nonces else (),
    )


def filter_suffixes(where: SessionFilter) -> list[str]:
    """Names of the indexes, below the script's own, that hold what fits one condition each."""
    conditions = {"user": where.user_id, "roblox": where.roblox_id, "place": where.place_id, "job": where.job_id}
    return [f"{name}:{value}" for name, value in conditions.items() if value is not None]


def _or_false(value: Any) -> Any:
    return False if value is None else value


def _or_none(value: Any) -> Any:
    return None if value is False else value
