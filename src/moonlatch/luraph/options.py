"""What the Luraph service says about its nodes and options, and the options of one job made from that. Pure: data in, data out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from moonlatch.luraph.order import Setting
from moonlatch.obfuscator.outcome import EngineError
from moonlatch.obfuscator.target import Target

_MOST_LISTED = 2_000
"""Characters of what there is to choose from; it is told once for each wrong setting."""

# How the service's own choices of a language are called.
_LANGUAGES = {Target.LUAU: "Luau", Target.LUA51: "Lua 5.1"}


class Option(msgspec.Struct, frozen=True):
    """An option of a node. `type` is CHECKBOX, DROPDOWN, TEXT, or something newer that we pass on unchecked."""

    type: str
    choices: list[str] | None = None
    required: bool = False


class Node(msgspec.Struct, frozen=True):
    """One of the service's machines, with the options it knows by id."""

    options: dict[str, Option]


class Nodes(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of `GET /obfuscate/nodes`."""

    nodes: dict[str, Node]
    recommended_id: str | None = None

    def recommended(self) -> tuple[str, Node] | None:
        """Id and node that the service recommends; None when it recommends none, or one it does not list."""
        node = None if self.recommended_id is None else self.nodes.get(self.recommended_id)
        return None if node is None or self.recommended_id is None else (self.recommended_id, node)


def wrong_settings(node: Node, settings: Mapping[str, Setting]) -> list[EngineError]:
    """What the service would refuse or, worse, silently replace by a default: each under its option's id."""
    return [EngineError(name, problem) for name, value in settings.items() for problem in _problems(node, name, value)]


def _problems(node: Node, name: str, value: Setting) -> Iterator[str]:
    option = node.options.get(name)
    if option is None:
        yield f"the service has no such option; it has: {_shortened(', '.join(sorted(node.options))) or 'none'}"
    elif option.type == "CHECKBOX" and not isinstance(value, bool):
        yield "must be true or false"
    elif option.type == "TEXT" and not isinstance(value, str):
        yield "must be a text"
    elif option.type == "DROPDOWN" and value not in (option.choices or ()):
        yield f"must be one of: {_shortened(', '.join(option.choices or ()))}"


def _shortened(listed: str) -> str:
    return listed if len(listed) <= _MOST_LISTED else f"{listed[:_MOST_LISTED]}\N{HORIZONTAL ELLIPSIS}"


def job_options(node: Node, settings: Mapping[str, Setting], target: Target | None) -> dict[str, Setting]:
    """The settings, with the language when one is wanted, and with the plainest value of every other required option.

    Optional options that are not set are left out: the service then takes its own default.
    """
    options: dict[str, Setting] = {}
    for name, option in node.options.items():
        if name in settings:
            options[name] = settings[name]
        elif target is not None and _chooses_language(option):
            options[name] = _LANGUAGES[target]
        elif option.required:
            options[name] = _plainest(option)
    return options


def _chooses_language(option: Option) -> bool:
    return option.type == "DROPDOWN" and set(_LANGUAGES.values()) <= set(option.choices or ())


def _plainest(option: Option) -> Setting:
    if option.type == "CHECKBOX":
        return False
    return option.choices[0] if option.type == "DROPDOWN" and option.choices else ""
