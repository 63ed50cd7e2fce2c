"""Describes every setting as data: for the reference page, which is held against it, and for the `config` command."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from moonlatch.config.settings import Settings
from moonlatch.config.variable import variable_name
from moonlatch.licensing.tier import UNLIMITED, Tier

TIERS = "tiers"
TIER_PLACEHOLDER = "NAME"


@dataclass(frozen=True, slots=True)
class SettingDescription:
    """One setting: dotted path, allowed values, default and meaning, all as text."""

    path: str
    allowed: str
    default: str
    meaning: str

    @property
    def variable(self) -> str:
        return variable_name(tuple(self.path.split(".")))


def describe_settings() -> list[SettingDescription]:
    """Every setting in the order of the reference page; those of a tier once, for a tier called NAME."""
    return list(_describe(Settings, ()))


def settings_table() -> str:
    """The Markdown table of `docs/reference/configuration.md`."""
    rows = [f"| `{one.path}` | {one.allowed} | {one.default} | {one.meaning} |" for one in describe_settings()]
    return "\n".join(["| setting | allowed | default | meaning |", "|---|---|---|---|", *rows])


def setting_values(settings: Settings) -> list[tuple[str, str]]:
    """Dotted path and value of every setting, in the notation of the TOML file; each configured tier's too."""
    return list(_values(settings, ()))


def _describe(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[SettingDescription]:
    for name, field in model.model_fields.items():
        path = (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _describe(field.annotation, path)
        elif path == (TIERS,):
            yield from (one for one in _describe(Tier, (TIERS, TIER_PLACEHOLDER)) if not one.path.endswith(".name"))
        else:
            default = _notation(field.default, limit=model is Tier)
            yield SettingDescription(".".join(path), _allowed(field), f"`{default}`", field.description or "")


def _values(model: BaseModel, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in type(model).model_fields:
        path, value = (*above, name), getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _values(value, path)
        elif path == (TIERS,):
            for tier_name, tier in value.items():
                yield from (one for one in _values(tier, (TIERS, tier_name)) if not one[0].endswith(".name"))
        else:
            yield ".".join(path), _notation(value, limit=isinstance(model, Tier))


def _notation(value: Any, *, limit: bool = False) -> str:
    if value is None and limit:
        return f'"{UNLIMITED}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_notation(part) for part in value) + "]"
    return json.dumps(str(value), ensure_ascii=False)


def _allowed(field: FieldInfo) -> str:
    choices: Sequence[Any] = getattr(field.annotation, "__args__", ())
    if isinstance(field.json_schema_extra, dict):
        choices = cast("list[str]", field.json_schema_extra.get("enum", choices))
    if field.annotation is bool:
        return "true, false"
    if choices and all(isinstance(choice, str) for choice in choices):
        return ", ".join(f'"{choice}"' for choice in choices)
    bounds = {
        name: getattr(rule, name)
        for rule in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(rule, name, None) is not None
    }
    if "le" in bounds:
        above = f"more than {bounds['gt']:,}" if "gt" in bounds else f"{bounds.get('ge', 0):,}"
        return f"{above} to {bounds['le']:,}"
    if type(None) in choices:
        return f'0 or more, "{UNLIMITED}"'
    if field.annotation == tuple[str, ...]:
        return "list of addresses or networks"
    return "text"
