"""The groups of settings that single parts of the program take, each with its type, default, bounds and description."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
)
from pydantic_settings import NoDecode

from moonlatch.licensing.checkpoints import PROVIDERS, ProviderName
from moonlatch.licensing.tier import MEBIBYTE
from moonlatch.licensing.verdict import ACCOUNT_GRACE_DAYS
from moonlatch.obfuscator.options import DEFAULT_PROFILE, PROFILES, known_profile

_SECRET_URL = re.compile(
    r"(https://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)|http://(127\.0\.0\.1|localhost|\[::1\]))(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?"
)
_METRICS_TOKEN = re.compile(r"[!-~]{16,}")


def _secret_url(value: str) -> str:
    if not _SECRET_URL.fullmatch(value):
        raise ValueError("should look like https://api.example.com/v1")
    return value.rstrip("/")


HEARTBEAT_SECONDS, MAX_SESSIONS = 30, 50_000
"""Defaults that parts have, too, where nobody sets anything."""


def listed_networks(value: Any) -> Any:
    """A variable lists them with commas between."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def checked_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and networks in one spelling. Raises ValueError."""
    networks = []
    for network in value:
        try:
            networks.append(str(ipaddress.ip_network(network)))
        except ValueError:
            raise ValueError(
                f"{network[:80]!r} is not an IP address, nor a network like 10.0.0.0/8 (whose last bits are 0)"
            ) from None
    return tuple(networks)


class Section(BaseModel):
    """A group of settings that one part of the program takes. Values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(Section):
    """How PostgreSQL is used; SQLite takes no notice."""

    max_connections: int = Field(
        default=10, ge=2, le=1000, description="Connections of one process to PostgreSQL, at most."
    )
    deadline_seconds: float = Field(
        default=5.0,
        ge=0.5,
        le=60,
        description="Longest wait for PostgreSQL, in seconds: for a connection, the statements and repeating them together.",
    )


class RedisSettings(Section):
    """How Redis is used; a server that is alone takes no notice."""

    prefix: str = Field(
        default="moonlatch:",
        min_length=1,
        max_length=100,
        pattern=r"^[!-~]+$",
        description="What every key begins with; installations that share a Redis need different ones.",
    )
    deadline_seconds: float = Field(
        default=1.0,
        ge=0.1,
        le=10,
        description="Longest wait for Redis, in seconds; then it counts as away until it answers again.",
    )


class ProtectorSettings(Section):
    """The worker processes that check and protect scripts."""

    workers: int = Field(
        default=2, ge=1, le=64, description="Worker processes: how many scripts are protected at once."
    )
    timeout_seconds: float = Field(
        default=90.0,
        gt=0,
        le=90,
        description="Longest time for one script, in seconds; then its worker is killed and replaced.",
    )
    memory_mib: int = Field(
        default=1024, ge=128, le=65_536, description="Most memory one worker process may take, in MiB of address space."
    )
    max_waiting: int = Field(
        default=64,
        ge=0,
        le=10_000,
        description="Updates that may wait for a free worker; one account gets half of the places at most.",
    )
    profile: Annotated[str, AfterValidator(known_profile)] = Field(
        default=DEFAULT_PROFILE, json_schema_extra={"enum": [*PROFILES]}, description="How scripts are protected."
    )


class ClientSettings(Section):
    """The protocol that running scripts speak."""

    heartbeat_seconds: int = Field(
        default=HEARTBEAT_SECONDS,
        ge=5,
        le=300,
        description="Time between two heartbeats, in seconds. Three missed ones end an instance.",
    )
    account_grace_days: int = Field(
        default=ACCOUNT_GRACE_DAYS,
        ge=0,
        le=3650,
        description="How long scripts of an expired account are still served, in days.",
    )
    executes_per_second_per_address: float = Field(
        default=20.0,
        ge=0,
        le=1_000_000,
        description="Starts per second from one IP address, on average; 0 sets no limit.",
    )
    execute_burst: int = Field(default=100, ge=1, le=1_000_000, description="Starts at once from one IP address.")
    loaders_per_second_per_address: float = Field(
        default=40.0,
        ge=0,
        le=1_000_000,
        description="Loaders per second to one IP address, on average; 0 sets no limit.",
    )
    loader_burst: int = Field(default=400, ge=1, le=1_000_000, description="Loaders at once to one IP address.")
    key_checks_per_minute_per_address: float = Field(
        default=20.0,
        gt=0,
        le=1_000_000,
        description="Keys that scripts may check per minute from one IP address (`/client/v1/check_key`), on average; ten at once.",
    )
    max_sessions: int = Field(
        default=MAX_SESSIONS,
        ge=0,
        le=1_000_000,
        description="Open WebSockets of running scripts; each is also an open file.",
    )


class LuraphSettings(Section):
    """The service behind the engine `luraph`, for accounts that have set a key of their own."""

    base_url: str = Field(
        default="https://api.lura.ph/v1",
        max_length=500,
        description="Address of its API. `https://`, or `http://` on this machine: the accounts' keys go there.",
    )
    job_seconds: float = Field(default=90.0, gt=0, le=90, description="Longest time for one of its jobs, in seconds.")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        if not _SECRET_URL.fullmatch(value):
            raise ValueError("should look like https://api.example.com/v1")
        return value.rstrip("/")


class DiscordSettings(Section):
    """Discord, for accounts that have connected an application of their own."""

    base_url: str = Field(
        default="https://discord.com/api/v10",
        max_length=500,
        description="Address of its API. `https://`, or `http://` on this machine: the bots' tokens go there.",
    )
    timeout_seconds: float = Field(default=10.0, ge=0.5, le=60, description="Longest time for one call, in seconds.")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        if not _SECRET_URL.fullmatch(value):
            raise ValueError("should look like https://discord.com/api/v10")
        return value.rstrip("/")


class ManagementSettings(Section):
    """The API for script developers."""

    requests_per_second: float = Field(
        default=50.0, gt=0, le=1_000_000, description="Calls per second per token, on average."
    )
    burst: int = Field(default=50, ge=1, le=1_000_000, description="Calls at once per token.")
    max_body_bytes: int = Field(
        default=20 * MEBIBYTE, ge=1024, le=256 * MEBIBYTE, description="Largest body of a call, in bytes of JSON."
    )


class MemberSettings(Section):
    """People who sign in, at a page of this server."""

    url: str = Field(
        default="",
        max_length=500,
        description="Address at which members' browsers reach this server: the only page that may act for them, and what "
        "passkeys and one-time links are made for. `https://`, or `http://` on this machine. Empty means `public_url`.",
    )
    session_idle_hours: int = Field(
        default=12, ge=1, le=8760, description="Hours without a call after which a sign-in session ends."
    )
    session_days: int = Field(
        default=7, ge=1, le=365, description="Days after which a sign-in session ends, used or not."
    )
    confirmed_minutes: int = Field(
        default=15,
        ge=1,
        le=1440,
        description="Minutes after signing in during which password and second factor may be changed.",
    )
    link_hours: int = Field(
        default=48, ge=1, le=720, description="Hours for which an invitation, or a link to a new password, is good."
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if value and not _SECRET_URL.fullmatch(value):
            raise ValueError("should look like https://panel.example.com")
        return value.rstrip("/")


class ConnectionSettings(Section):
    """TCP connections, whoever makes them."""

    most: int = Field(
        default=65_536,
        ge=64,
        le=1_000_000,
        description="Open connections of one process, of which the last 32nd take single requests only, and no sessions. "
        "Fewer where the system allows fewer open files.",
    )
    per_address: int = Field(
        default=5_000,
        ge=0,
        le=1_000_000,
        description="Open connections from one IP address; 0 sets no limit. Those of `trusted_proxies` do not count, but the "
        "sessions behind them.",
    )


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severity that is logged."
    )
    format: Literal["text", "json"] = Field(
        default="text", description="Lines for people, or one JSON object a line for programs."
    )


class MetricsSettings(Section):
    """The page for Prometheus, `/metrics`."""

    token: SecretStr = Field(
        default=SecretStr(""),
        max_length=200,
        description="Bearer token that reads `/metrics`, at least 16 characters. Without one only this machine itself may.",
    )

    port: int = Field(
        default=0,
        ge=0,
        le=65_000,
        description="Each process also listens on 127.0.0.1, at this port plus its number from 0, "
        "so that one of several can be asked; 0: none does.",
    )

    @field_validator("token")
    @classmethod
    def _check_token(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not _METRICS_TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("should be 16 or more printable ASCII characters without spaces")
        return value


class RetentionSettings(Section):
    """How long detail is kept. Daily counters stay for ever."""

    detail_days: int = Field(
        default=90,
        ge=0,
        le=36_500,
        description="Days for which each single start is kept, with whose it was, and each key's last refusals; 0 keeps them for ever.",
    )
    event_days: int = Field(
        default=400,
        ge=0,
        le=36_500,
        description="Days for which events (who did what) are kept; 0 keeps them for ever.",
    )


class CheckpointSettings(Section):
    """Pages at which visitors earn keys: where their providers are asked, should one of them move before Moonlatch knows."""

    linkvertise_api: Annotated[str, AfterValidator(_secret_url)] = Field(
        default=PROVIDERS[ProviderName.LINKVERTISE].api,
        max_length=500,
        description="Where Linkvertise is asked whether a visitor went through. `https://`, or `http://` on this machine.",
    )
    lootlabs_api: Annotated[str, AfterValidator(_secret_url)] = Field(
        default=PROVIDERS[ProviderName.LOOTLABS].api,
        max_length=500,
        description="Where Lootlabs is asked to hide where a link leads.",
    )
    workink_api: Annotated[str, AfterValidator(_secret_url)] = Field(
        default=PROVIDERS[ProviderName.WORKINK].api,
        max_length=500,
        description="Where Work.ink is asked about a token, which is added to it.",
    )
    timeout_seconds: float = Field(
        default=8.0, ge=0.5, le=30, description="Longest time for one question to a provider, in seconds."
    )
    views_per_second_per_address: float = Field(
        default=2.0, gt=0, le=1_000_000, description="Pages per second that one IP address is shown, on average."
    )
    view_burst: int = Field(default=60, ge=1, le=1_000_000, description="Pages at once that one IP address is shown.")


class WebhookSettings(Section):
    """What is sent to the endpoints that developers name."""

    allow_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks that endpoints may be in besides the public internet, for receivers at home. "
        "Whoever has an account may have them called.",
    )
    timeout_seconds: float = Field(
        default=15.0, ge=0.5, le=60, description="Longest time for one delivery, in seconds."
    )
    most_at_once: int = Field(
        default=2048,
        ge=16,
        le=16_384,
        description="Deliveries of one process at once; each is also an open file. Fewer where the system allows fewer.",
    )

    @field_validator("allow_networks", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return listed_networks(value)

    @field_validator("allow_networks")
    @classmethod
    def _check(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return checked_networks(value)
