"""What a caller can ask of the protector."""

from __future__ import annotations

from dataclasses import dataclass

from moonlatch.obfuscator.spelling import Target

# The passes of each profile, by key; their order is the registry's.
PROFILES: dict[str, frozenset[str]] = {
    "minify": frozenset({"drop_types", "rename_locals"}),
    "light": frozenset({"drop_types", "encrypt_strings", "encrypt_numbers", "constant_pool", "rename_locals"}),
}


class UnknownProfileError(ValueError):
    """A profile was asked for that this version does not have."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to protect one script.

    `client_chunk` says that the loader will call the output as `chunk(runtime, ...)`, `runtime` being the table with the
    live `la_*` values; otherwise those names are ordinary globals and the output is called like the source.
    Without a `target` the output runs wherever the source does: everywhere, or on Luau where the source needs it.
    Raises UnknownProfileError for a profile that does not exist, ValueError for an unknown target.
    """

    profile: str = "light"
    target: Target | None = None
    client_chunk: bool = False

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise UnknownProfileError(f"unknown profile '{self.profile}'; there are: {', '.join(PROFILES)}")
        if self.target is not None:
            object.__setattr__(self, "target", Target(self.target))
