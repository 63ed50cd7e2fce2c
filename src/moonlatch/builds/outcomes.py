"""What becomes of an update: a value for each, so that who asked for it says it in its own words."""

from __future__ import annotations

from dataclasses import dataclass

from moonlatch.builds.job import Done, Fault, Readable
from moonlatch.storage.builds import Protection
from moonlatch.storage.loaders import LoaderInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that is to be published, and not published yet. `source_bytes` and `source_lines` are of the script's text; hashes are SHA-256."""

    build: Done
    protection: Protection
    source_bytes: int
    source_lines: int
    source_hash: bytes
    payload_hash: bytes
    loader: NewLoader | None

    @property
    def cost(self) -> int:
        """Obfuscations that it takes."""
        return 1 if self.loader is None else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A successful update: the number of the new build, what the script's author should know, the rollout that it began, and sizes in bytes.

    `places` is how many a marked copy's word has, None for a build whose copies are the same.
    """

    build: int
    warnings: list[str]
    readable: list[Readable]
    rollout: str | None
    source_bytes: int
    source_lines: int
    payload_bytes: int
    places: int | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The script is not valid; `parser_output` is what Luau would print for it, `hint` why it is refused as a whole."""

    parser_output: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Sound:
    """Nothing is said against a draft; what its author should know."""

    warnings: list[str]


@dataclass(frozen=True, slots=True)
class NotProtected:
    """There is no protected text, though the script may be fine. `is_loader`: it was the loader's that failed."""

    faults: list[Fault]
    is_loader: bool = False


@dataclass(frozen=True, slots=True)
class OverQuota:
    """The account has not so many obfuscations left."""

    left: int


@dataclass(frozen=True, slots=True)
class NoBuildTime:
    """Workers were busy with the account's updates for as long as they may be in its period."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Too many updates wait already."""

    retry_after_seconds: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The script, or what it belongs to, was removed meanwhile."""


NewLoader = tuple[LoaderInfo, bytes]
"""A loader that was built, and its protected text."""

Unpublished = Broken | NotProtected | OverQuota | NoBuildTime | Busy | Gone
Outcome = Published | Unpublished
