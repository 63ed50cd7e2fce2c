"""Compiles the script's functions, and its own code, to bytecode for a virtual machine made for this build alone."""

from __future__ import annotations

from moonlatch.obfuscator.scopes import resolve
from moonlatch.obfuscator.unit import Unit
from moonlatch.obfuscator.vm.assembly import compile_chunk

KEY = "virtualize"


def run(unit: Unit) -> None:
    resolution = resolve(unit.chunk)
    exported = next((one for one in resolution.symbols.values() if one.is_exported), None)
    if exported is not None:
        unit.warnings.append(f"line {exported.binding.line}: a script with `export` is not virtualized")
        return
    native = unit.native | unit.sealed
    unit.sealed |= compile_chunk(unit.chunk, resolution, native, unit.target, unit.random(KEY))
    unit.resolve_anew()
