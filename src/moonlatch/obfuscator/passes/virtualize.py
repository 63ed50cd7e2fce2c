"""Compiles the script's functions, and its own code, to bytecode for a virtual machine made for this build alone."""

from __future__ import annotations

from moonlatch.obfuscator.analysis.self_inspection import inspections
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.arguments import IMPLICIT_ARGUMENTS, functions_with_implicit_argument
from moonlatch.obfuscator.transform.unit import Unit
from moonlatch.obfuscator.vm.assembly import compile_chunk

KEY = "virtualize"


def run(unit: Unit) -> None:
    resolution = unit.resolution
    exported = next((one for one in resolution.symbols.values() if one.is_exported), None)
    if exported is not None:
        unit.warnings.append(f"line {exported.binding.line}: a script with `export` is not virtualized")
        return
    native = unit.native | unit.sealed
    faults, doubt = inspections(unit.chunk, resolution, native)
    if faults:
        unit.diagnostics += faults
        return
    if doubt is not None:
        unit.warnings.append(
            f"line {doubt}: debug sees the machine where it looks at a virtualized function; LA_NO_VIRTUALIZE keeps a function as it is"
        )
    if unit.target is Target.LUA51 and IMPLICIT_ARGUMENTS in resolution.globals:
        with_argument = functions_with_implicit_argument(unit.chunk)
        native |= with_argument
        unit.warnings += [
            f"line {one.line}: the `arg` of a function with `...` is there in Lua 5.1 only; that function is not virtualized"
            for one in sorted(with_argument, key=lambda one: one.line)
        ]
    unit.sealed |= compile_chunk(unit, native, unit.random(KEY))
    unit.resolve_anew()
