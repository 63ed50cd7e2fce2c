"""The passes in the order they run. A pass is one module here, one test file, one page in docs/reference/passes, one key."""

from __future__ import annotations

from typing import Protocol

from moonlatch.obfuscator.passes import (
    capture_builtins,
    constant_pool,
    disguise_literals,
    drop_types,
    encrypt_names,
    encrypt_numbers,
    encrypt_strings,
    flatten_control_flow,
    keyed_constants,
    lower_luau,
    merge_functions,
    opaque_branches,
    outline_expressions,
    rename_locals,
    virtualize,
)
from moonlatch.obfuscator.transform.unit import Unit


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
    capture_builtins,
    outline_expressions,
    merge_functions,
    opaque_branches,
    disguise_literals,
    flatten_control_flow,
    encrypt_names,
    keyed_constants,
    encrypt_strings,
    encrypt_numbers,
    constant_pool,
    rename_locals,
)
