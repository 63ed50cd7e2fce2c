"""The passes in the order they run. A pass is one module here, one test file, one page in docs/reference/passes, one key."""

from __future__ import annotations

from typing import Protocol

from moonlatch.obfuscator.passes import (
    constant_pool,
    drop_types,
    encrypt_numbers,
    encrypt_strings,
    lower_luau,
    rename_locals,
    virtualize,
)
from moonlatch.obfuscator.unit import Unit


class Pass(Protocol):
    """What a module in this package offers. `run` changes the unit's tree in place and keeps what the script does."""

    @property
    def KEY(self) -> str: ...  # noqa: N802 - a module constant

    def run(self, unit: Unit) -> None: ...


# First what the target lacks, then what needs the script's own shape, then what changes that shape, then what hides
# constants wherever they have got to, and last what names everything that is there.
REGISTRY: tuple[Pass, ...] = (
    drop_types,
    lower_luau,
    virtualize,
    encrypt_strings,
    encrypt_numbers,
    constant_pool,
    rename_locals,
)
