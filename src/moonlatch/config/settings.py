"""Every setting with its type, default, bounds and description. Where values come from is `loading`'s business."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from moonlatch.clock import DAY_MS, HOUR_MS, MINUTE_MS
from moonlatch.config.sections import (
    CheckpointSettings,
    ClientSettings,
    ConnectionSettings,
    DatabaseSettings,
    DiscordSettings,
    LogSettings,
    LuraphSettings,
    ManagementSettings,
    MemberSettings,
    MetricsSettings,
    ProtectorSettings,
    RedisSettings,
    RetentionSettings,
    WebhookSettings,
    checked_networks,
    listed_networks,
)
from moonlatch.licensing.signing_in import SignInRules
from moonlatch.licensing.tier import BUILT_IN, NO_LIMITS, Tier
from moonlatch.master_key import MasterKeySource

ENV_PREFIX = "MOONLATCH_"
ENV_NESTED_DELIMITER = "__"

_PUBLIC_URL = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?")
_DATABASE_URL = re.compile(r"postgres(ql)?://")
_REDIS_URL = re.compile(r"(rediss?|unix)://")
_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}
_TIER_NAME = re.compile(r"[a-z0-9_-]{1,32}")


class Settings(BaseSettings):
    """All settings of one installation. Reads nothing by itself: `load_settings` gives it its values."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, case_sensitive=True)

    data_dir: Path = Field(
        default=Path("data"), description="Folder of the SQLite database, the master key and `moonlatch.toml`."
    )
    master_key_command: str = Field(
        default="",
        max_length=2000,
        description="Prints the master key, as 64 hexadecimal digits, or several of them, one a line, in place of a file in the data folder: "
        "a program and its arguments, run without a shell. Where it is empty and systemd gives the credential `moonlatch.master-key`, "
        "that is what holds them.",
    )
    database_url: SecretStr = Field(
        default=SecretStr(""),
        max_length=2000,
        description="PostgreSQL database to keep everything in: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`. "
        "Empty means SQLite, in the data folder.",
    )
    redis_url: SecretStr = Field(
        default=SecretStr(""),
        max_length=2000,
        description="Redis or Valkey, through which several processes know of each other's sessions: "
        "`redis://USER:PASSWORD@HOST:PORT/NUMBER`, `rediss://` with TLS. Empty means a server that is alone.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Server processes; more than one need `database_url` and `redis_url`.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, max_length=255, description="Address to listen on.")
    port: int = Field(default=8400, ge=1, le=65_535, description="TCP port to listen on.")
    public_url: str = Field(
        default="",
        max_length=500,
        description="Address at which running scripts reach this server, written into every loader. "
        "Empty means `http://HOST:PORT`.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Addresses or networks of reverse proxies whose `X-Forwarded-For` is believed."
    )
    tiers: dict[str, Tier] = Field(
        default=dict(BUILT_IN),
        description="Tiers by name. What a tier does not say, it has from the built-in one of its name.",
    )
    # Below `tiers`, because its check needs them.
    default_tier: str = Field(default="unlimited", description="Tier of new accounts.")
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    protector: ProtectorSettings = ProtectorSettings()
    luraph: LuraphSettings = LuraphSettings()
    connections: ConnectionSettings = ConnectionSettings()
    client: ClientSettings = ClientSettings()
    management: ManagementSettings = ManagementSettings()
    members: MemberSettings = MemberSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    retention: RetentionSettings = RetentionSettings()
    webhooks: WebhookSettings = WebhookSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    discord: DiscordSettings = DiscordSettings()

    @property
    def database_file(self) -> Path:
        """The SQLite database in the data folder."""
        return self.data_dir / "moonlatch.db"

    @property
    def master_key(self) -> MasterKeySource:
        """Where the master key comes from."""
        return MasterKeySource(self.data_dir, self.master_key_command)

    @property
    def is_shared(self) -> bool:
        """Return whether several processes may run at once: neither the data nor the sessions belong to one alone."""
        return bool(self.database_url.get_secret_value() and self.redis_url.get_secret_value())

    @property
    def is_alone(self) -> bool:
        """Return whether no other server can run on the same data: the data folder holds it, and is locked."""
        return not self.database_url.get_secret_value()

    @property
    def sign_in_rules(self) -> SignInRules:
        """How members sign in here, and for how long."""
        members = self.members
        return SignInRules(
            url=members.url or self.public_url,
            idle_ms=members.session_idle_hours * HOUR_MS,
            absolute_ms=members.session_days * DAY_MS,
            recent_ms=members.confirmed_minutes * MINUTE_MS,
            link_ms=members.link_hours * HOUR_MS,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the arguments and nothing else: `loading` reads the other sources itself, to know who said what."""
        return (init_settings,)

    @field_validator("master_key_command")
    @classmethod
    def _check_command(cls, value: str) -> str:
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"cannot be read as a program and its arguments: {error}") from None
        if value and not words:
            raise ValueError("names no program")
        return value

    @field_validator("data_dir")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        try:
            return value.expanduser()
        except RuntimeError:
            raise ValueError(f"nobody here has the home folder {value.parts[0]!r}") from None

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not _DATABASE_URL.match(value.get_secret_value()):
            raise ValueError("should look like postgresql://moonlatch:PASSWORD@db.example.com:5432/moonlatch")
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not _REDIS_URL.match(value.get_secret_value()):
            raise ValueError("should look like redis://:PASSWORD@redis.example.com:6379/0")
        return value

    @field_validator("workers")
    @classmethod
    def _check_workers(cls, value: int, info: ValidationInfo) -> int:
        """SQLite's file and sessions in memory belong to one process each."""
        missing = [
            name
            for name in ("database_url", "redis_url")
            if name in info.data and not info.data[name].get_secret_value()
        ]
        if value > 1 and missing:
            raise ValueError(
                f"more than one process need PostgreSQL and Redis to share data and sessions: set {' and '.join(missing)}"
            )
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str) -> str:
        if value and not _PUBLIC_URL.fullmatch(value):
            raise ValueError("should look like https://scripts.example.com or http://192.0.2.1:8400")
        return value.rstrip("/")

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: Any) -> Any:
        return listed_networks(value)

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return checked_networks(value)

    @field_validator("tiers", mode="before")
    @classmethod
    def _complete_tiers(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        tiers: dict[str, Any] = dict(BUILT_IN)
        for name, said in value.items():
            if not _TIER_NAME.fullmatch(name):
                raise ValueError(f"the tier name {name!r} should be 1 to 32 of a-z, 0-9, _ and -")
            if isinstance(said, dict):
                tiers[name] = {**BUILT_IN.get(name, NO_LIMITS).model_dump(), **said, "name": name}
            else:
                tiers[name] = said
        return tiers

    @field_validator("default_tier")
    @classmethod
    def _check_default_tier(cls, value: str, info: ValidationInfo) -> str:
        tiers = info.data.get("tiers")  # not there when the tiers themselves are wrong
        if tiers is not None and value not in tiers:
            raise ValueError(f"there is no such tier; there are: {', '.join(tiers)}")
        return value

    @model_validator(mode="after")
    def _complete_public_url(self) -> Self:
        if not self.public_url:
            host = _ANY_ADDRESS.get(self.host, f"[{self.host}]" if ":" in self.host else self.host)
            # The class is frozen for everybody else; this is still its construction.
            self.__dict__["public_url"] = f"http://{host}:{self.port}"
        return self
