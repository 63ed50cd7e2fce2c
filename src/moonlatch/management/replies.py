"""The objects that replies carry, made from domain records in the open. Contains no rule but what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from moonlatch.clock import DAY_MS, utc_day
from moonlatch.licensing.key import is_blacklisted, is_held
from moonlatch.licensing.sharing import Consequence, SharingRules, rules_of
from moonlatch.live.interface import LiveCounts, Session
from moonlatch.management.picture import device_picture
from moonlatch.storage.projects import Project
from moonlatch.storage.scripts import Script
from moonlatch.storage.user_history import PastRefusal
from moonlatch.storage.users import User

DAYS_SHOWN = 30


class Reply(BaseModel):
    """An object of a reply, or a reply."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def example(**values: Any) -> ConfigDict:
    """The configuration of a model with this example of it."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class Success(Reply):
    success: Literal[True] = True


class ScriptView(Reply):
    """A script; `total_sessions` and `total_instances` count what is alive now."""

    model_config = example(
        id="SCRIPT_ID",
        project_id="PROJECT_ID",
        name="My script",
        free_for_all=False,
        use_heartbeat=True,
        kick_outdated=False,
        require_sessions=False,
        place_seconds=0,
        offline_days=0,
        report_errors=False,
        mark_copies=False,
        enabled=True,
        total_executions=0,
        total_sessions=0,
        total_instances=0,
    )

    id: str
    project_id: str
    name: str
    free_for_all: bool
    use_heartbeat: bool
    kick_outdated: bool
    require_sessions: bool
    place_seconds: int
    offline_days: int
    report_errors: bool
    mark_copies: bool
    enabled: bool
    total_executions: int
    total_sessions: int
    total_instances: int

    @classmethod
    def of(cls, script: Script, counts: LiveCounts) -> ScriptView:
        return cls(
            id=script.id,
            project_id=script.project_id,
            name=script.name,
            free_for_all=script.free_for_all,
            use_heartbeat=script.use_heartbeat,
            kick_outdated=script.kick_outdated,
            require_sessions=script.require_sessions,
            place_seconds=script.place_seconds,
            offline_days=script.offline_days,
            report_errors=script.report_errors,
            mark_copies=script.mark_copies,
            enabled=script.enabled,
            total_executions=script.total_executions,
            total_sessions=counts.sessions,
            total_instances=counts.instances,
        )


class SessionView(Reply):
    """An open session; `user_key` is null for a keyless user of a free-for-all script."""

    model_config = example(
        id="SESSION_ID",
        user_key="USER_KEY",
        script_id="SCRIPT_ID",
        roblox_id=10_234_711_811,
        place_id=606_849_621,
        job_id="JOB_ID",
        created_at=1_770_624_500_000,
        executor="Delta",
        build=3,
    )

    id: str
    user_key: str | None
    script_id: str
    roblox_id: int | None
    place_id: int | None
    job_id: str | None
    created_at: int
    executor: str | None = Field(description="the host program")
    build: int = Field(description="number of the script's build")

    @classmethod
    def of(cls, session: Session, *, user_key: str | None) -> SessionView:
        """`user_key` is the key of its user as it may be shown."""
        return cls(
            id=session.id,
            user_key=user_key,
            script_id=session.script_id,
            roblox_id=session.roblox_id,
            place_id=session.place_id,
            job_id=session.job_id,
            created_at=session.created_at,
            executor=session.executor,
            build=session.build,
        )


class RuleView(Reply):
    """A rule about shared keys."""

    model_config = example(limit=10, action="signal")

    limit: int | None = Field(description="what is still in order; null: anything is")
    action: Consequence = Field(description="what follows when it is broken")


class SharingView(Reply):
    """What is taken for a shared key. Days and hours are those of UTC."""

    devices: RuleView = Field(description="most devices in 30 days")
    networks_a_day: RuleView = Field(description="most networks a day")
    starts_an_hour: RuleView = Field(description="most starts an hour")
    seconds_between_devices: RuleView = Field(
        description="least time from a start on one device to the next on another"
    )
    starts_without_fingerprint: RuleView = Field(description="most starts a day that tell no device")
    hooked_starts: RuleView = Field(description="most starts a day in a host whose functions were replaced")
    hold_hours: int | None = Field(description="how long a key is held; null: until it is released")

    @classmethod
    def of(cls, rules: SharingRules) -> SharingView:
        of_rules = {name: RuleView(limit=rule.limit, action=rule.action) for name, rule in rules_of(rules).items()}
        return cls(**of_rules, hold_hours=rules.hold_hours)


class ProjectView(Reply):
    """A project; `total_executions` counts those of removed scripts too."""

    model_config = example(
        id="PROJECT_ID",
        name="My game",
        fingerprint_reset_cooldown=DAY_MS,
        allow_fingerprint_resets=True,
        delete_expired_users=False,
        execution_webhook="https://hooks.example.com/executions",
        information_webhook=None,
        blacklist_webhook=None,
        engine="embedded",
        luraph_options={"TARGET_VERSION": "Luau"},
        require_fingerprint=True,
        max_instances=None,
        sharing={
            "devices": {"limit": 5, "action": "signal"},
            "networks_a_day": {"limit": 10, "action": "signal"},
            "starts_an_hour": {"limit": 120, "action": "hold"},
            "seconds_between_devices": {"limit": None, "action": "signal"},
            "starts_without_fingerprint": {"limit": None, "action": "signal"},
            "hooked_starts": {"limit": 0, "action": "signal"},
            "hold_hours": 24,
        },
        max_devices=1,
        total_executions=0,
    )

    id: str
    name: str
    fingerprint_reset_cooldown: int = Field(description="milliseconds")
    allow_fingerprint_resets: bool
    delete_expired_users: bool
    execution_webhook: str | None
    information_webhook: str | None
    blacklist_webhook: str | None
    engine: str = Field(description="what protects its scripts that name no other")
    luraph_options: dict[str, str | bool] = Field(description="options of its jobs with Luraph, by the service's ids")
    require_fingerprint: bool = Field(description="starts with a key whose host does not tell its device are refused")
    max_instances: int | None = Field(
        description="copies that each key without a `max_instances` of its own may run at once; null: any number"
    )
    sharing: SharingView
    max_devices: int = Field(description="devices that each key without a `max_devices` of its own is bound to")
    total_executions: int

    @classmethod
    def of(cls, project: Project) -> ProjectView:
        return cls(
            id=project.id,
            name=project.name,
            fingerprint_reset_cooldown=project.fingerprint_reset_cooldown,
            allow_fingerprint_resets=project.allow_fingerprint_resets,
            delete_expired_users=project.delete_expired_users,
            execution_webhook=project.execution_webhook,
            information_webhook=project.information_webhook,
            blacklist_webhook=project.blacklist_webhook,
            engine=project.engine,
            luraph_options=project.luraph_options,
            require_fingerprint=project.require_fingerprint,
            max_instances=project.max_instances,
            sharing=SharingView.of(project.sharing),
            max_devices=project.max_devices,
            total_executions=project.total_executions,
        )


class LastRefusal(Reply):
    """What a key was last refused with."""

    code: str = Field(description="as the customer's program was told it")
    at: int = Field(description="Unix milliseconds")

    @classmethod
    def of(cls, refusal: PastRefusal) -> LastRefusal:
        return cls(code=refusal.code, at=refusal.refused_at)


class UserView(Reply):
    """A user; times in Unix milliseconds. A blacklisting or a hold that ran out is shown as none."""

    model_config = example(
        id="USER_ID",
        key="USER_KEY",
        project_id="PROJECT_ID",
        discord_id="123456789012345678",
        fingerprint_assigned=True,
        executor="Delta",
        executions=17,
        key_expires=1_770_624_500_000,
        key_days=None,
        last_reset=None,
        total_fingerprint_resets=0,
        note="first customer",
        blacklisted=False,
        blacklist_reason=None,
        blacklist_expires=None,
        held_by=None,
        held_until=None,
        luaauth_fingerprint="🟥🟧🟨🟩🟦🟪 -> ip\n🟫⬛🟥🟥🟦🟩 -> fingerprint\n🟩🟩🟪🟧🟥🟫 -> executor",
        max_instances=1,
        max_executions=None,
        max_devices=None,
        fingerprintless=False,
        created_at=1_768_000_000_000,
        last_refusal={"code": "FINGERPRINT_MISMATCH", "at": 1_770_624_500_000},
    )

    id: str = Field(description="names the user in addresses and events; no secret, as the key is")
    key: str = Field(description="masked for those who may not see keys")
    project_id: str
    discord_id: str | None
    fingerprint_assigned: bool = Field(
        description="bound to a device; false after executions: its program tells no device, or the key is fingerprintless"
    )
    executor: str | None
    executions: int
    key_expires: int | None
    key_days: int | None = Field(description="days the key is good for from its first execution")
    last_reset: int | None
    total_fingerprint_resets: int
    note: str | None
    blacklisted: bool
    blacklist_reason: str | None
    blacklist_expires: int | None
    held_by: str | None = Field(description="the rule about shared keys that has put the key on hold")
    held_until: int | None = Field(description="null: until it is released")
    luaauth_fingerprint: str | None = Field(
        description="three lines of six coloured squares; null before the first use"
    )
    max_instances: int | None
    max_executions: int | None
    max_devices: int | None = Field(description="how many devices it is bound to; null: as the project says")
    fingerprintless: bool
    created_at: int
    last_refusal: LastRefusal | None = Field(description="null where none is kept")

    @classmethod
    def of(cls, user: User, now_ms: int, *, key: str, last_refusal: PastRefusal | None) -> UserView:
        """`key` is the user's key as it may be shown."""
        blacklisted = is_blacklisted(user.blacklisted, user.blacklist_expires, now_ms)
        held = is_held(user.held_by, user.held_until, now_ms)
        return cls(
            id=user.id,
            key=key,
            project_id=user.project_id,
            discord_id=user.discord_id,
            fingerprint_assigned=user.fingerprint is not None,
            executor=user.executor,
            executions=user.executions,
            key_expires=user.key_expires,
            key_days=user.key_days,
            last_reset=user.last_reset,
            total_fingerprint_resets=user.total_fingerprint_resets,
            note=user.note,
            blacklisted=blacklisted,
            blacklist_reason=user.blacklist_reason if blacklisted else None,
            blacklist_expires=user.blacklist_expires if blacklisted else None,
            held_by=user.held_by if held else None,
            held_until=user.held_until if held else None,
            luaauth_fingerprint=device_picture(
                project_id=user.project_id, ip=user.ip, fingerprint=user.fingerprint, executor=user.executor
            ),
            max_instances=user.max_instances,
            max_executions=user.max_executions,
            max_devices=user.max_devices,
            fingerprintless=user.fingerprintless,
            created_at=user.created_at,
            last_refusal=None if last_refusal is None else LastRefusal.of(last_refusal),
        )


class UsersReply(Success):
    users: list[UserView]


def days_shown(now_ms: int) -> Sequence[str]:
    """The last 30 UTC days including today, oldest first, as `YYYY-MM-DD`."""
    return [utc_day(now_ms - back * DAY_MS) for back in range(DAYS_SHOWN - 1, -1, -1)]


def by_month_and_day(days: Sequence[str], executions: dict[str, int]) -> dict[str, int]:
    """Executions per `MM/DD`; a day without any is 0."""
    return {f"{day[5:7]}/{day[8:10]}": executions.get(day, 0) for day in days}
