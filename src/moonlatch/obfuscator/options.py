"""What a caller can ask of the protector."""

from __future__ import annotations

from dataclasses import dataclass

from moonlatch.obfuscator.target import Target

_STANDARD = frozenset(
    {
        "drop_types",
        "lower_luau",
        "capture_builtins",
        "outline_expressions",
        "merge_functions",
        "opaque_branches",
        "disguise_literals",
        "flatten_control_flow",
        "encrypt_names",
        "keyed_constants",
        "rename_locals",
    }
)
# The passes of each profile, by key; their order is the registry's. The plainest profile comes first. Every list of
# profiles, in settings, commands, the API and the documentation, is made from this one or held against it by a test.
PROFILES: dict[str, frozenset[str]] = {
    "minify": frozenset({"drop_types", "lower_luau", "rename_locals"}),
    "light": frozenset(
        {"drop_types", "lower_luau", "encrypt_strings", "encrypt_numbers", "constant_pool", "rename_locals"}
    ),
    "standard": _STANDARD,
    "maximum": _STANDARD | {"virtualize"},
}

DEFAULT_PROFILE = "light"
PLAINEST_PROFILE = "minify"
"""Changes nothing that costs anything; what another engine gets to protect, and the quickest way to check a script."""


class UnknownProfileError(ValueError):
    """A profile was asked for that this version does not have."""


def known_profile(name: str) -> str:
    """The name itself. Raises UnknownProfileError with all there are when it is none of them."""
    if name not in PROFILES:
        raise UnknownProfileError(f"unknown profile '{name}'; there are: {', '.join(PROFILES)}")
    return name


@dataclass(frozen=True, slots=True)
class Options:
    """How to protect one script.

    `client_chunk` says that the loader will call the output as `chunk(runtime, ...)`, `runtime` being the table with the
    live `la_*` values; otherwise those names are ordinary globals and the output is called like the source.
    `keeps_macros` says that the output goes to another engine, which has the `LPH_*` macros itself.
    `has_line_map` says that the output is to break its lines where the source does, with a map between the two.
    `has_marks` says that there is to be a template of copies that differ, and not only the text.
    `needs_run_key` says that the loader will hand over a run key, without which nothing that is enciphered can be read; profiles that
    keep constants readable for anybody have no use for it.
    Without a `target` the output runs wherever the source does: everywhere, or on Luau where the source needs it.
    Raises UnknownProfileError for a profile that does not exist, ValueError for an unknown target.
    """

    profile: str = DEFAULT_PROFILE
    target: Target | None = None
    client_chunk: bool = False
    keeps_macros: bool = False
    has_line_map: bool = True
    has_marks: bool = False
    needs_run_key: bool = False

    def __post_init__(self) -> None:
        known_profile(self.profile)
        if self.target is not None:
            object.__setattr__(self, "target", Target(self.target))
