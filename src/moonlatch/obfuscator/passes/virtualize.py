"""Compiles the script's functions, and its own code, to bytecode for a virtual machine made for this build alone."""

from __future__ import annotations

from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.transform.unit import Unit
from moonlatch.obfuscator.vm.assembly import compile_chunk

KEY = "virtualize"
_WHAT_DIFFERS = {
    "debug": "debug sees the machine where it looks at a virtualized function",
    "getfenv": "getfenv gives the environment of the machine's functions",
    "setfenv": "setfenv on a virtualized function does not reach the functions that it makes",
}


def run(unit: Unit) -> None:
    resolution = unit.resolution
    exported = next((one for one in resolution.symbols.values() if one.is_exported), None)
    if exported is not None:
        unit.warnings.append(f"line {exported.binding.line}: a script with `export` is not virtualized")
        return
    unit.warnings += _differences(resolution)
    native = unit.native | unit.sealed
    unit.sealed |= compile_chunk(unit.chunk, resolution, native, unit.target, unit.random(KEY))
    unit.resolve_anew()


def _differences(resolution: Resolution) -> list[str]:
    """Where the script looks at itself and would see something else than its source."""
    found = [
        (node.line, what)
        for name, what in _WHAT_DIFFERS.items()
        if name not in resolution.assigned_globals
        for node in resolution.globals.get(name, ())[:1]
    ]
    return [f"line {line}: {what}; LA_NO_VIRTUALIZE keeps a function as it is" for line, what in sorted(found)]
