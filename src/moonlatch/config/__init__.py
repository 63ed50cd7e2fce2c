"""Typed settings, from the environment and a TOML file. Read once at start and passed on; nothing reads them globally."""

from moonlatch.config.loading import InvalidSettingsError, LoadedSettings, load_settings, load_with_origins
from moonlatch.config.sections import (
    ClientSettings,
    LogSettings,
    LuraphSettings,
    ManagementSettings,
    MetricsSettings,
    ProtectorSettings,
    RetentionSettings,
)
from moonlatch.config.settings import Settings

__all__ = [
    "ClientSettings",
    "InvalidSettingsError",
    "LoadedSettings",
    "LogSettings",
    "LuraphSettings",
    "ManagementSettings",
    "MetricsSettings",
    "ProtectorSettings",
    "RetentionSettings",
    "Settings",
    "load_settings",
    "load_with_origins",
]
