"""Puts the parts together: a whole script as compiled functions and the interpreters that run them."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from moonlatch.obfuscator.outcome import Part
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import parse_written
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from moonlatch.obfuscator.syntax.tree import NO_LINE
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.arguments import global_argument
from moonlatch.obfuscator.transform.phrasing import phrase
from moonlatch.obfuscator.transform.pool import Constant
from moonlatch.obfuscator.transform.unit import Unit
from moonlatch.obfuscator.vm.code import Instruction, Proto
from moonlatch.obfuscator.vm.decoys import plant_decoys
from moonlatch.obfuscator.vm.encoding import Pool
from moonlatch.obfuscator.vm.invariants import Invariants
from moonlatch.obfuscator.vm.line_breaks import LineBreaks
from moonlatch.obfuscator.vm.linking import Linked, arrange, join, link
from moonlatch.obfuscator.vm.lowering import FunctionLowering
from moonlatch.obfuscator.vm.machine import Machine
from moonlatch.obfuscator.vm.micro_operations import MicroOperations
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.native import factory
from moonlatch.obfuscator.vm.program import Program
from moonlatch.obfuscator.vm.register_maps import MOST_MOVED, RegisterMaps
from moonlatch.obfuscator.vm.sharing_out import share_out
from moonlatch.obfuscator.vm.variables import Variables

_DECODERS = 4
# Instructions of a compiler's: LuaJIT jumps over 32,767, and a script for no target in particular may run there.
_LARGEST_MACHINE = {Target.LUA51: 28_000, Target.LUAU: 100_000}


def compile_chunk(unit: Unit, native: set[s.Function], generator: random.Random) -> set[s.Function]:
    """Makes the unit's chunk one that does the same on a virtual machine of its own; answers the functions written for it.

    `native` functions stay as they are, with all that is in them.
    """
    chunk = unit.chunk
    decoys = plant_decoys(unit, native, generator)
    resolution = unit.resolution
    names = Names(resolution.fresh_name("vm"))
    invariants = Invariants.drawn(names, generator)
    program = Program(
        Variables.of(resolution),
        names,
        unit.target,
        generator,
        native,
        unit.shared,
        unit.hot,
        invariants,
        RegisterMaps.drawn(names, invariants, generator),
        decoys,
        sets_environments="setfenv" in resolution.globals,
        loops_take_functions=unit.options.target is Target.LUA51,
    )
    _compile_all(program, chunk)
    share_out(program, is_told_apart=unit.options.has_line_map)
    program.is_surveying = False
    _compile_all(program, chunk)
    # What the text is made of is gone before the text is read: both are large.
    unit.readable = _readable(program)
    decoders = [Pool(generator, unit.run) for _ in range(_DECODERS)]
    text = _text_of(program, _linked(program, decoders, unit), decoders, unit)
    written = parse_written(text.source, text.lines)
    phrase(written.body.body, text.decoders, f"{names.prefix}q", generator)
    sealed = _functions_of(written)
    natives = [_native_statement(program, place) for place in range(1, len(program.natives) + 1)]
    unit.chunk.body.body = [*written.body.body, *natives, *parse_written(text.start).body.body]
    return sealed


def _compile_all(program: Program, chunk: s.Chunk) -> None:
    """Compiles the chunk and every function that is reached from compiled code."""
    program.proto(None)
    pending = list(program.protos.values())
    for proto in pending:  # grows while it is worked through
        known = len(program.protos)
        proto.code.clear()
        function = proto.function
        body, parameters = (chunk.body, []) if function is None else (function.body, function.parameters)
        FunctionLowering(program, proto).lower(body, parameters)
        if len(program.protos) > known:
            pending += list(program.protos.values())[known:]


def _readable(program: Program) -> dict[s.Function | None, Part]:
    """The functions that have code which keeps its speed."""
    found: dict[s.Function | None, Part] = dict.fromkeys(program.natives, Part.NATIVE)
    for function, proto in program.protos.items():
        if function in program.hot:
            found[function] = Part.ALL
        elif any(isinstance(one, Instruction) and one.weight > 1 for one in proto.code):
            found[function] = Part.LOOPS
    return found


def _linked(program: Program, decoders: list[Pool], unit: Unit) -> dict[Proto, list[Linked]]:
    """Every function's instructions, in the order in which they are written down."""
    protos = list(program.protos.values())
    functions = join([link(proto.code) for proto in protos])
    for proto in protos:
        proto.code.clear()
    compiled = dict(zip(protos, functions, strict=True))
    for proto, function in compiled.items():
        is_cold = proto.function not in program.hot
        proto.moves = is_cold and proto.registers <= MOST_MOVED and all(one.weight == 1 for one in function)
    cold = {proto: function for proto, function in compiled.items() if proto.function not in program.hot}
    micro = [
        MicroOperations(program.names, program.generator, program.invariants, program.maps, decoders)
        for _ in range(program.machines)
    ]
    breaks = LineBreaks(program.names, has_lines=unit.options.has_line_map)
    for proto, function in cold.items():
        micro[proto.machine].take_apart(function, moves=proto.moves)
    for function in compiled.values():
        breaks.settle(function)
    for machine, operations in enumerate(micro):
        held = [function for proto, function in compiled.items() if proto.machine == machine]
        if unit.options.has_line_map:
            breaks.share(held, _LARGEST_MACHINE[unit.target])
        operations.settle(held, *_entries(program, compiled, machine))
    program.latches = [sorted(operations.latches) for operations in micro]
    return {proto: arrange(function, program.generator) for proto, function in compiled.items()}


def _entries(program: Program, functions: dict[Proto, list[Linked]], machine: int) -> tuple[list[Linked], set[Linked]]:
    """Where edges of an interpreter may lead that are never taken: to where decoys begin; and all instructions of decoys."""
    decoys = [
        function
        for proto, function in functions.items()
        if proto.machine == machine and proto.function in program.decoys
    ]
    return [function[0] for function in decoys], {one for function in decoys for one in function}


@dataclass(frozen=True, slots=True)
class _Text:
    """All machines as Lua."""

    source: str
    lines: list[int]
    """The script's line for each line of the source."""
    decoders: list[str]
    """Names of the functions that are the protector's own."""
    start: str
    """The statements that run the script's main function."""


def _text_of(program: Program, functions: dict[Proto, list[Linked]], decoders: list[Pool], unit: Unit) -> _Text:
    names, generator = program.names, program.generator
    order = list(functions)
    generator.shuffle(order)
    places = {proto: place for place, proto in enumerate(order, 1)}
    has_table_library = program.target is Target.LUAU and not program.sets_environments
    machines = [
        Machine(
            number,
            held,
            places,
            names,
            has_table_library,
            generator,
            decoders,
            program.invariants,
            None if next(iter(held)).function in program.hot else program.maps,
            program.most_kept,
            any(_runs_often(program, proto, function) for proto, function in held.items()),
            unit.marks,
            unit.run,
            program.latches[number],
        )
        for number in range(program.machines)
        if (held := {proto: functions[proto] for proto in order if proto.machine == number})
    ]
    protos = f"{names.prefix}Q"
    entries = {proto: entry for machine in machines for proto, entry in machine.text.entries.items()}
    sources = [machine.source(protos, entries.__getitem__) for machine in machines]
    head = [f"local {protos}={{}} for _place=1,{len(order)} do {protos}[_place]={{false,false,0,0,0,false}} end "]
    support = _support(program, decoders)
    head += [
        pool.decoder_source(names.decoder(number), keeps=True, marks=unit.marks) for number, pool in enumerate(decoders)
    ]
    declared = ",".join(names.machine(number) for number in range(program.machines))
    before = "".join([*head, support, f"local {declared} "]).replace("\n", " ")
    written_here = [names.decoder(number) for number in range(len(decoders))]
    written_here += [name for machine in machines for name in machine.names_of_decoders()]
    main = program.protos[None]
    first, entry = f"{protos}[{places[main]}]", entries[main]
    start = (
        f"{first}[3],{first}[4],{first}[5]={entry.at},{entry.key},{entry.head} "
        f"return {names.machine(main.machine)}({first},{{}})({'...' if main.is_vararg else ''})"
    )
    lines = [NO_LINE, *(line for machine in machines for line in machine.lines)]
    return _Text(before + "".join(sources), lines, written_here, start)


def _runs_often(program: Program, proto: Proto, function: list[Linked]) -> bool:
    return proto.function in program.hot or any(one.weight > 1 for one in function)


def _native_statement(program: Program, place: int) -> s.Statement:
    """Puts the factory of one native function into their table."""
    native = next(native for known, native in program.natives.values() if known == place)
    made = factory(native.function, native.captures, program.variables, program.names)
    line = native.function.line
    target = s.Index(s.Name(program.names.natives, line), s.Number(str(place), float(place), line), line)
    return s.Assign([target], [made], line)


def _support(program: Program, decoders: list[Pool]) -> str:
    """What several operations of several machines use. Its strings go to the decoders, too."""
    names = program.names

    def hidden(match: re.Match[str]) -> str:
        decoder = program.generator.randrange(len(decoders))
        place = decoders[decoder].place(Constant(match[1].encode("ascii"), is_number=False))
        return f"{names.decoder(decoder)}({place})"

    parts = [f"local {names.select},{names.unpack},{names.type_of}=select,table.unpack or unpack,type "]
    if program.natives:
        parts.append(f"local {names.natives}={{}} ")
    if program.has_shared_closures:
        parts.append(_SHARING.replace("NAME", names.shared))
    if program.has_global_argument:
        parts.append(global_argument(names.argument) + " ")
    parts.append(program.invariants.source)
    cold = [proto for function, proto in program.protos.items() if function not in program.hot]
    if cold:
        most = max(one.registers for one in cold)
        parts.append(program.maps.source(most, max((one.registers for one in cold if one.moves), default=0)))
    if program.releases_registers:
        parts.append(_RELEASE.replace("EMPTY", names.release).replace("PASS_ON", names.pass_on))
    if program.sets_environments:
        parts.append(_INHERITANCE.replace("NAME", names.inherit))
    if program.has_generic_loops:
        source = f"local NAME={_ITERATION}" if program.target is Target.LUAU else _ITERATION_OF_HOST
        parts.append(re.sub(r'"(\w+)"', hidden, source.replace("NAME", names.iterate)))
    if program.target is Target.LUA51:
        # Lua 5.4 runs a loop from NaN once, all others never.
        parts.append(f"local {names.enters_nan}=false for _from=0/0,0 do {names.enters_nan}=true end ")
    return "".join(parts)


_RELEASE = """
local function EMPTY(_file,_slots,_from,_to) for _place=_from,_to do _file[_slots[_place]]=nil end end
local function PASS_ON(_file,_slots,_from,_to,...) EMPTY(_file,_slots,_from,_to) return ... end
"""

# Where the host makes a new closure each time, so does the machine.
_SHARING = """
local function NAME(_proto,_machine,_captures) return _machine(_proto,_captures) end
do
    local function _make() return function() end end
    if _make()==_make() then NAME=function(_proto,_machine,_captures)
        local _made=_machine(_proto,_captures)
        _proto[2]=_made
        return _made
    end end
end
"""


_INHERITANCE = """
local NAME=function(_closure) return _closure end
if setfenv then NAME=function(_closure)
    setfenv(_closure,getfenv(2))
    return _closure
end end
"""

# What nothing can go through comes back as the second value: the loop that meant to says so itself, on its own line.
# What hides its metatable is left to a real loop, too.
_ITERATION = """
function(_from,_state,_control)
    local _behaviour=getmetatable(_from)
    if _behaviour==nil or type(_behaviour)=="table" and rawget(_behaviour,"__metatable")==nil then
        local _iter=_behaviour and rawget(_behaviour,"__iter")
        if _iter~=nil then return _iter(_from) end
        if _behaviour and rawget(_behaviour,"__call")~=nil then return _from,_state,_control end
        if type(_from)=="table" then return next,_from,nil end
        return false,_from
    end
    local _yield=coroutine.yield
    return coroutine.wrap(function()
        for _1,_2,_3,_4,_5,_6 in _from,_state,_control do _yield(_1,_2,_3,_4,_5,_6) end
    end)
end
"""
# On a host whose own loops take nothing but functions, the value is left as it is, to be called.
_ITERATION_OF_HOST = f"""
local NAME=function(_from,_state,_control)
    if getmetatable(_from)==nil then return false,_from end
    return _from,_state,_control
end
if pcall(function() for _1 in {{}} do end end) then NAME={_ITERATION} end
"""


class _Collector(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self.functions: set[s.Function] = set()

    def function(self, function: s.Function) -> None:
        self.functions.add(function)
        super().function(function)


def _functions_of(chunk: s.Chunk) -> set[s.Function]:
    collector = _Collector()
    collector.chunk(chunk)
    return collector.functions
