"""Errors of scripts: what copies tell of them is put together here, and what can be done about one: resolve, ignore, open again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from moonlatch import crypto
from moonlatch.clock import HOUR_MS
from moonlatch.crypto import sha256
from moonlatch.licensing.crashes import (
    MOST_EXECUTORS,
    MOST_GROUPS,
    MOST_NEW_GROUPS,
    MOST_WITNESSES,
    SPIKE_HOURS,
    ErrorKind,
    ErrorState,
    Spot,
    is_regression,
    is_spike,
    normalised,
)
from moonlatch.licensing.roles import Permission
from moonlatch.operations.changing import Change, Resource, version_of
from moonlatch.operations.context import Actor, ActorKind
from moonlatch.operations.explaining import located, map_of
from moonlatch.operations.kinds import EventKind
from moonlatch.operations.refusals import NotFound
from moonlatch.storage import builds, error_groups, rollout_starts
from moonlatch.storage.error_groups import ErrorGroup
from moonlatch.storage.scripts import Script

OTHERS = "others"
"""What further programs are counted as."""

KEPT_HOURS = 14 * 24
"""Of each group, for who looks at how an error comes and goes."""

_JOB = "errors"
_COUNTED = frozenset({"instances", "keys", "executors", "last_seen", "spiked_at"})
_WITNESS_BYTES = 12


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True):
    """An error of one copy, as it is told. `spot` is in the protected text; `holder` is whose key or which device it was, where there is one."""

    instance: str
    build: int
    holder: str | None
    kind: ErrorKind
    message: str
    spot: Spot | None
    executor: str

    @property
    def place(self) -> str:
        """As a group has it."""
        return "" if self.spot is None else str(self.spot)


def version(group: ErrorGroup) -> str:
    """What an error is at: another one after every change of how it stands."""
    return version_of(group, without=_COUNTED)


def actor_for(account_id: str) -> Actor:
    """Who counts errors."""
    return Actor(account_id=account_id, kind=ActorKind.JOB, id=_JOB, name=_JOB)


async def take(change: Change, script_id: str, reports: Sequence[ErrorReport]) -> None:
    """Count what copies of a script told; nothing where its owner does not want to know, or of a build that there never was. Raises NotFound."""
    script = await change.script(script_id)
    if not script.report_errors:
        return
    # Whoever runs by a lease names the build, which may be pruned by now.
    newest = await builds.newest(change.tx, script_id)
    alike: dict[tuple[int, str, str], list[ErrorReport]] = {}
    for report in (each for each in reports if each.build <= newest):
        alike.setdefault((report.build, report.place, normalised(report.message)), []).append(report)
    for (build, place, message), found in alike.items():
        signature = sha256(f"{place}\n{message}".encode())
        group = await error_groups.find(change.tx, script_id, build, signature)
        if group is None:
            group = await _new(change, script, found[0], signature=signature, message=message)
        if group is not None:
            await _count(change, script, group, found)


async def resolve(change: Change, group_id: str) -> ErrorGroup:
    """Take an error for mended: it is opened again when a newer build than had it has it. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    group = await _taken(change, group_id)
    kin = await error_groups.of_kin(change.tx, group.script_id, group.kin)
    return await _stand(
        change, group, ErrorState.RESOLVED, EventKind.ERROR_RESOLVED, resolved_build=max(each.build for each in kin)
    )


async def ignore(change: Change, group_id: str) -> ErrorGroup:
    """Count it on and tell of it no more, in whichever build. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    return await _stand(change, await _taken(change, group_id), ErrorState.IGNORED, EventKind.ERROR_IGNORED)


async def reopen(change: Change, group_id: str) -> ErrorGroup:
    """Take it for an error again. Raises NotAllowed, NotFound, ChangedMeanwhile."""
    return await _stand(change, await _taken(change, group_id), ErrorState.OPEN, EventKind.ERROR_REOPENED)


async def _taken(change: Change, group_id: str) -> ErrorGroup:
    change.actor.require(Permission.SCRIPTS_WRITE)
    found = await error_groups.find_owned(change.tx, group_id, change.actor.account_id)
    if found is None or not change.actor.reaches(found[1]):
        raise NotFound("error")
    change.expect(version(found[0]))
    return found[0]


async def _stand(
    change: Change, group: ErrorGroup, state: ErrorState, kind: EventKind, *, resolved_build: int | None = None
) -> ErrorGroup:
    script = await change.script(group.script_id)
    await error_groups.set_state(change.tx, group.script_id, group.kin, state, resolved_build=resolved_build)
    changes = {} if group.state is state else {"state": (group.state, state)}
    _tell(change, script, group, kind, changes)
    return msgspec.structs.replace(group, state=state, resolved_build=resolved_build, regressed_at=None)


async def _new(
    change: Change, script: Script, report: ErrorReport, *, signature: bytes, message: str
) -> ErrorGroup | None:
    """A group that is seen for the first time; None where there were too many within the hour."""
    if await error_groups.count_new(change.tx, script.id, since=change.now - HOUR_MS) >= MOST_NEW_GROUPS:
        return None
    source = located(await map_of(change.tx, change.keyring, script.id, report.build), report.spot)
    # Without a map places of two builds have nothing in common.
    kin = sha256(f"{'' if source is None else f'{source.file} {source.function}'}\n{message}".encode())
    relatives = await error_groups.of_kin(change.tx, script.id, kin)
    stands = relatives[0] if relatives else None
    group = ErrorGroup(
        id=crypto.new_id(),
        script_id=script.id,
        build=report.build,
        place=report.place,
        kin=kin,
        signature=signature,
        kind=report.kind,
        message=report.message,
        file=None if source is None else source.file,
        line=None if source is None else source.line,
        function=None if source is None else source.function,
        state=ErrorState.OPEN if stands is None else stands.state,
        resolved_build=None if stands is None else stands.resolved_build,
        first_seen=change.now,
        last_seen=change.now,
        regressed_at=None if stands is None else stands.regressed_at,
    )
    if await error_groups.count(change.tx, script.id) >= MOST_GROUPS:
        await error_groups.make_room(change.tx, script.id)
    await error_groups.insert(change.tx, group)
    # Known from another build, it is not new; in another place of this one it is.
    if group.state is ErrorState.OPEN and all(each.build == group.build for each in relatives):
        _tell(change, script, group, EventKind.ERROR_NEW)
    return group


async def _count(change: Change, script: Script, group: ErrorGroup, found: Sequence[ErrorReport]) -> None:
    if group.state is ErrorState.RESOLVED and is_regression(group.build, group.resolved_build):
        await error_groups.set_state(change.tx, script.id, group.kin, ErrorState.OPEN, regressed_at=change.now)
        changes = {"state": (ErrorState.RESOLVED, ErrorState.OPEN), "resolved_build": (group.resolved_build, None)}
        group = msgspec.structs.replace(group, state=ErrorState.OPEN, resolved_build=None, regressed_at=change.now)
        _tell(change, script, group, EventKind.ERROR_REGRESSED, changes)
    executors = {each.instance: each.executor for each in reversed(found)}
    new = await _witnesses(change, script, group, "copy", list(executors))
    keys = await _witnesses(
        change, script, group, "holder", sorted({each.holder for each in found if each.holder is not None})
    )
    instances = len(new)
    await rollout_starts.blame(change.tx, [each.instance for each in found], group.id)
    hour = change.now // HOUR_MS
    await error_groups.add_hour(change.tx, group.id, hour, instances, kept_since=hour - KEPT_HOURS)
    counted = msgspec.structs.replace(
        group,
        instances=group.instances + instances,
        keys=group.keys + len(keys),
        executors=_with(group.executors, (executors[name] for name in new)),
        last_seen=change.now,
    )
    if group.state is ErrorState.OPEN and await _spikes(change, counted, hour):
        counted = msgspec.structs.replace(counted, spiked_at=change.now)
    await error_groups.save(change.tx, counted)
    if counted.spiked_at != group.spiked_at:
        _tell(change, script, counted, EventKind.ERROR_SPIKE, {"instances": (group.instances, counted.instances)})


async def _witnesses(
    change: Change, script: Script, group: ErrorGroup, what: str, names: Sequence[str]
) -> Sequence[str]:
    """Those that had it for the first time. Once there are many, each copy counts, and no key does any more."""
    if group.instances + group.keys >= MOST_WITNESSES:
        return names if what == "copy" else []
    hashes = [change.keyring.fingerprint(script.project_id, f"error {what}", name)[:_WITNESS_BYTES] for name in names]
    added = await error_groups.add_witnesses(change.tx, group.id, hashes, now=change.now)
    return [name for name, is_new in zip(names, added, strict=True) if is_new]


def _with(counted: dict[str, int], executors: Iterable[str]) -> dict[str, int]:
    """A new program takes the place of the rarest: what somebody invents keeps out none that runs."""
    found = Counter(counted)
    for name in executors:
        if name not in found and len(found) - (OTHERS in found) >= MOST_EXECUTORS:
            rarest = min((each for each in found if each != OTHERS), key=lambda each: found[each])
            found[OTHERS] += found.pop(rarest)
        found[name] += 1
    return dict(found)


async def _spikes(change: Change, group: ErrorGroup, hour: int) -> bool:
    if group.spiked_at is not None and group.spiked_at > change.now - SPIKE_HOURS * HOUR_MS:
        return False
    seen = await error_groups.hours(change.tx, group.id, since=hour - SPIKE_HOURS)
    return is_spike(seen.pop(hour, 0), list(seen.values()))


def _tell(
    change: Change,
    script: Script,
    group: ErrorGroup,
    kind: EventKind,
    changes: dict[str, tuple[Any, Any]] | None = None,
) -> None:
    what: dict[str, tuple[Any, Any]] = {"script": (None, script.id), "build": (None, group.build)}
    if group.line is not None:
        what["line"] = (None, group.line)
    change.record(
        kind,
        Resource("error", group.id, group.message[:100]),
        project_id=script.project_id,
        changes=what | (changes or {}),
    )
