"""Functions that nothing calls and that look as if something did, put into the script before it is compiled.

They are compiled as the script's own are, so that registers, captures, calls and ends are as real. What would call them stands behind
conditions about tables of our own, which hold what settings and states hold: that one never comes true shows only to who knows
that what would make it true stands in functions that are never called.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.transform.unit import Unit
from moonlatch.obfuscator.vm.decoy_bodies import Body
from moonlatch.obfuscator.vm.decoy_places import Finder, Host

_SHARE, _SHARE_BEYOND, _BEYOND = 0.2, 0.02, 1_000
"""Of the leaves of the script's functions that could be taken for decoys: of the first thousand, and of the others. What a long script
has once is small beside what it has often, and decoys can have but little of that.
"""
_SHARE_AT_ONCE = 0.5
"""Of the decoys, those whose closures are made in any case, where that happens once."""
_SHARE_CALLED = 0.5
"""Of these, those that a later one calls."""
_SHARE_WRITING = 0.6
"""Of the decoys, those that would change a state."""
_SHARE_KEPT = 0.3
"""Of those behind a condition, the ones that a state would keep."""
_SHARE_RETURNED = 0.3
_SHARE_OF_VARIABLES = 0.6
"""Of arguments."""
_DECOYS_OF_ONE_STATE = 4
_FEWEST_FIELDS, _MOST_FIELDS = 4, 5
_SHARE_COUNTING = 0.5
_SHARE_PLAIN = 0.1
"""Of the conditions, those about a field that has few values: who looks for all of these sees that it never holds."""
_MOST_CHANGES = 2
_STATES_AT_HAND = 2
_TRIES = 9
_LARGEST_NUMBER, _LARGEST_STEP = 12, 3
_SIZE_OF_USE = 6
_PREVENTS_SHARING = "setfenv"


def plant_decoys(unit: Unit, native: Collection[s.Function], generator: random.Random) -> set[s.Function]:
    """Put decoys into the unit's script, whose variables are to be resolved anew then; gives these functions.

    Hot functions and loops stay as they are, and so do `native` functions with all that is in them.
    """
    finder = Finder(unit, native)
    finder.chunk(unit.chunk)
    if not finder.models or not finder.hosts:
        return set()
    planter = _Planter(unit, finder, generator)
    planter.plant()
    unit.resolve_anew()
    return planter.decoys


@dataclass(slots=True, eq=False)
class _State:
    """A table of our own, that of a variable `binding` of a block that runs once, its `home`, before the statement number `top` there.

    Of its fields one is `absent`, `either` are never both true, and the others hold no other than these `texts`, no larger than these
    `numbers`, and no smaller than where these `counters` start.
    """

    binding: s.Binding
    absent: str
    either: tuple[str, str]
    home: s.Block
    top: int
    texts: dict[str, list[bytes]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    asked: dict[str, None] = field(default_factory=dict)
    """Fields that conditions are about."""

    @property
    def fields(self) -> list[str]:
        return [self.absent, self.either[0], *self.texts, *self.numbers, *self.counters]


@dataclass(slots=True, eq=False)
class _Standing:
    """A decoy that is a variable of a block from that place on."""

    binding: s.Binding
    function: s.Function
    place: int


class _Planter:
    def __init__(self, unit: Unit, finder: Finder, generator: random.Random) -> None:
        self.decoys: set[s.Function] = set()
        self._unit = unit
        self._symbols = unit.resolution.symbols
        self._upvalues = {frame.node: frame.upvalues for frame in unit.resolution.frames}
        self._shares = _PREVENTS_SHARING not in unit.resolution.globals
        self._finder = finder
        self._hosts: dict[s.Block, list[Host]] = {}
        for host in finder.hosts:
            self._hosts.setdefault(host.home, []).append(host)
        self._vocabulary = finder.vocabulary.settle()
        self._generator = generator
        self._prefix = unit.resolution.fresh_name("w")
        self._made = 0
        self._states: list[_State] = []
        self._standing: dict[s.Block, list[_Standing]] = {}
        self._added: dict[s.Block, list[tuple[int, int, s.Statement]]] = {}

    def plant(self) -> None:
        beyond = max(0, self._finder.size - _BEYOND)
        room = _SHARE * (self._finder.size - beyond) + _SHARE_BEYOND * beyond
        planted = 0
        while room > 0:
            if planted % _DECOYS_OF_ONE_STATE == 0:
                hosts = self._hosts[self._generator.choice(self._finder.hosts).home]
                self._states.append(self._state(hosts[0].block))
            planted += 1
            if self._generator.random() < _SHARE_AT_ONCE:
                room -= self._plant_at_once(hosts[0])
            else:
                room -= self._plant_behind(self._generator.choice(hosts))
        for state in self._states:
            self._declare(state)
        for block, added in self._added.items():
            body = block.body[:]
            for place, _, statement in sorted(added, key=lambda one: one[:2], reverse=True):
                body.insert(place, statement)
            block.body = body

    # Places

    def _add(self, block: s.Block, place: int, statement: s.Statement) -> None:
        """Put it before what stands at that place, but behind what was put there before it."""
        added = self._added.setdefault(block, [])
        added.append((place, len(added), statement))

    def _line(self, block: s.Block, place: int) -> int:
        body = block.body
        return body[min(place, len(body) - 1)].line if body else block.line

    def _fresh(self) -> str:
        self._made += 1
        return f"{self._prefix}{self._made}"

    def _visible(self, host: Host, place: int) -> dict[str, s.Binding]:
        """What a host's own code knows at a place without capturing more than it does; only locals of the block itself."""
        function = host.function
        upvalues = sorted(self._upvalues[function], key=lambda symbol: symbol.declared)
        found = {symbol.binding.name: symbol.binding for symbol in upvalues}
        if function is not None:
            found.update((binding.name, binding) for binding in function.parameters)
        for statement in host.block.body[:place]:
            if isinstance(statement, s.Local):
                found.update((binding.name, binding) for binding in statement.bindings)
            elif isinstance(statement, s.LocalFunction):
                found[statement.binding.name] = statement.binding
        return found

    def _is_free_to_capture(self, binding: s.Binding) -> bool:
        """One more closure of it leaves it what it is."""
        symbol = self._symbols[binding]
        return symbol.is_captured or not symbol.is_assigned

    def _is_cell(self, binding: s.Binding) -> bool:
        symbol = self._symbols[binding]
        return symbol.is_captured and symbol.is_assigned

    # Functions

    def _function(self, host: Host, place: int) -> tuple[s.Function, int]:
        """A decoy that is made at that place, and how large it is."""
        generator = self._generator
        outer = {
            name: binding for name, binding in self._visible(host, place).items() if self._is_free_to_capture(binding)
        }
        first, last = (generator.choice(self._finder.models) for _ in range(2))
        captured = {symbol.binding for model in (first, last) for symbol in self._upvalues[model]}
        cells = {one for one in (*captured, *outer.values()) if self._is_cell(one)}
        body = Body(self._vocabulary, outer, captured, cells, generator, self._fresh)
        added: list[s.Statement] = []
        line = self._line(host.block, place)
        if generator.random() < _SHARE_WRITING:
            state = self._any_state(host, place)
            added.append(self._promise(state, line))
            body.used.add(state.binding)
        known = [one for one in self._standing.get(host.block, ()) if one.place <= place]
        if known and generator.random() < _SHARE_CALLED:
            called = generator.choice(known)
            added.append(s.CallStatement(self._call(called, {}, line), line))
            body.used.add(called.binding)
        made = body.blend(first, last, added)
        self.decoys |= body.functions.keys()
        if self._shares:
            self._unit.shared.update(one for one, used in body.functions.items() if self._is_same(host, used))
        return made, body.size + 2 * len(added)

    def _is_same(self, host: Host, used: Collection[s.Binding]) -> bool:
        """Luau would make one closure for all times of what uses these variables from outside."""
        ours: set[s.Binding] = set()
        if host.home is self._finder.hosts[0].block:
            ours = {state.binding for state in self._states}
        if host.function is None:
            ours |= {one.binding for one in self._standing.get(host.block, ())}
        return all(one in ours or self._is_single(one) for one in used)

    def _is_single(self, binding: s.Binding) -> bool:
        symbol = self._symbols.get(binding)
        return symbol is not None and symbol.function is None and not symbol.is_assigned

    def _call(self, decoy: _Standing, visible: dict[str, s.Binding], line: int) -> s.Call:
        return s.Call(
            s.Name(decoy.binding.name, line), [self._argument(visible, line) for _ in decoy.function.parameters], line
        )

    def _argument(self, visible: dict[str, s.Binding], line: int) -> s.Expression:
        generator = self._generator
        if visible and generator.random() < _SHARE_OF_VARIABLES:
            return s.Name(generator.choice(list(visible)), line)
        if generator.random() < 0.5:
            return s.String(self._vocabulary.text(generator), line)
        return self._vocabulary.number(generator, line)

    # Planting

    def _plant_at_once(self, host: Host) -> int:
        """A function that is made, and the condition behind which it would be called."""
        generator = self._generator
        # Rather late, where more variables are known.
        place = max(generator.randint(0, host.last) for _ in range(2))
        function, size = self._function(host, place)
        decoy = _Standing(s.Binding(self._fresh(), function.line), function, place)
        self._standing.setdefault(host.block, []).append(decoy)
        self._add(host.block, place, s.LocalFunction(decoy.binding, function, False, False, function.line))
        place = generator.randint(place, host.last)
        line = self._line(host.block, place)
        call = self._call(decoy, self._visible(host, place), line)
        self._add(host.block, place, self._guarded(host, place, [self._using(call, line)], line))
        return size + _SIZE_OF_USE

    def _plant_behind(self, host: Host) -> int:
        """A function that would be made behind a condition."""
        generator = self._generator
        place = generator.randint(0, host.last)
        function, size = self._function(host, place)
        line = self._line(host.block, place)
        decoy = _Standing(s.Binding(self._fresh(), line), function, place)
        if generator.random() < _SHARE_KEPT:
            state = self._any_state(host, place)
            body: list[s.Statement] = [self._assign(state, state.absent, function, line)]
        else:
            call = self._call(decoy, self._visible(host, place), line)
            body = [s.LocalFunction(decoy.binding, function, False, False, line), self._using(call, line)]
        self._add(host.block, place, self._guarded(host, place, body, line))
        return size + _SIZE_OF_USE

    def _using(self, call: s.Call, line: int) -> s.Statement:
        return s.Return([call], line) if self._generator.random() < _SHARE_RETURNED else s.CallStatement(call, line)

    def _guarded(self, host: Host, place: int, body: list[s.Statement], line: int) -> s.If:
        return s.If([(self._condition(self._any_state(host, place), line), s.Block(body, line))], None, line)

    # States

    def _state(self, home: s.Block) -> _State:
        generator, vocabulary = self._generator, self._vocabulary
        names: dict[str, None] = {}
        while len(names) < generator.randint(_FEWEST_FIELDS, _MOST_FIELDS):
            # Where the script runs, nothing may be deciphered that it does not come to itself.
            name = vocabulary.word(generator)
            names[name if name not in names else f"{name}{len(names)}"] = None
        absent, one, other, *rest = names
        state = _State(s.Binding(self._fresh(), home.line), absent, (one, other), home, len(home.body))
        for name in rest:
            if generator.random() < _SHARE_COUNTING:
                state.counters[name] = generator.randrange(_LARGEST_NUMBER)
            elif generator.random() < 0.5:
                state.texts[name] = [vocabulary.word(generator).encode("ascii") for _ in range(2)]
            else:
                state.numbers[name] = generator.randrange(_LARGEST_NUMBER)
        return state

    def _any_state(self, host: Host, place: int) -> _State:
        """One that is there by then."""
        state = self._generator.choice([one for one in self._states[-_STATES_AT_HAND:] if one.home is host.home])
        state.top = min(state.top, place if host.is_home else host.top)
        return state

    def _declare(self, state: _State) -> None:
        """Put statements that change what its table holds where the script runs, and the table before all that asks for it."""
        generator = self._generator
        changing = [name for name in state.asked if name != state.absent]
        changing += generator.sample(state.fields[1:], generator.randrange(_MOST_CHANGES))
        for name in changing:
            hosts = self._hosts[state.home]
            for _ in range(_TRIES):
                host = generator.choice(hosts) if generator.random() < 0.5 else hosts[0]
                place = generator.randint(0, host.last)
                if visible := self._visible(host, place):
                    break
            change = self._change(state, name, visible, self._line(host.block, place))
            state.top = min(state.top, place if host.is_home else host.top)
            self._add(host.block, place, change)
        place = generator.randint(0, state.top)
        line = self._line(state.home, place)
        kept = [*state.texts, *state.numbers, *state.counters]
        items: list[s.TableItem] = [s.NamedItem(name, self._kept(state, name, line), line) for name in kept]
        items += [s.NamedItem(name, s.FalseValue(line), line) for name in state.either]
        generator.shuffle(items)
        declaration = s.Local([state.binding], [s.Table(items, line)], is_const=False, is_exported=False, line=line)
        # Before everything else that was put there.
        self._added.setdefault(state.home, []).append((place, -1, declaration))

    def _change(self, state: _State, name: str, visible: dict[str, s.Binding], line: int) -> s.Statement:
        """A statement of the script's own code, after which no condition holds that did not hold before."""
        generator = self._generator
        if name in state.counters:
            step = _whole(generator.randint(1, _LARGEST_STEP), line)
            return self._assign(state, name, s.Binary("+", self._read(state, name, line), step, line), line)
        if name not in state.either:
            return self._assign(state, name, self._kept(state, name, line), line)
        if not visible:
            return self._assign(state, name, s.FalseValue(line), line)
        # One is taken away before the other is there: whatever ends a thread in between, there are never both.
        sides = [
            s.Block(
                [
                    self._assign(state, gone, s.FalseValue(line), line),
                    self._assign(state, there, s.TrueValue(line), line),
                ],
                line,
            )
            for gone, there in (state.either, state.either[::-1])
        ]
        # Nothing but whether it is there is asked of what the script has: a comparison may call something, or raise.
        return s.If([(s.Name(generator.choice(list(visible)), line), sides[0])], sides[1], line)

    def _read(self, state: _State, name: str, line: int) -> s.IndexName:
        return s.IndexName(s.Name(state.binding.name, line), name, line)

    def _assign(self, state: _State, name: str, value: s.Expression, line: int) -> s.Assign:
        return s.Assign([self._read(state, name, line)], [value], line)

    def _kept(self, state: _State, name: str, line: int) -> s.Expression:
        """What a field may hold while the script runs."""
        if name in state.texts:
            return s.String(self._generator.choice(state.texts[name]), line)
        if name in state.counters:
            return _whole(state.counters[name], line)
        return _whole(self._generator.randint(0, state.numbers[name]), line)

    def _other(self, state: _State, name: str, line: int) -> s.Expression:
        """What it never holds; anything for one that is told by another."""
        if name in state.numbers:
            return _whole(state.numbers[name] + self._generator.randint(1, _LARGEST_NUMBER), line)
        if name in state.counters:
            return _whole(self._generator.randint(0, state.counters[name]), line)
        if name not in state.texts:
            return s.TrueValue(line)
        text = self._vocabulary.word(self._generator).encode("ascii")
        return s.String(text if text not in state.texts[name] else text + b"s", line)

    def _promise(self, state: _State, line: int) -> s.Statement:
        """A statement of a decoy's, which would have a condition hold."""
        name = self._generator.choice(state.fields)
        return self._assign(state, name, self._other(state, name, line), line)

    def _condition(self, state: _State, line: int) -> s.Expression:
        """What never holds."""
        generator = self._generator
        plain = [state.absent, *state.texts, *state.numbers]
        name = generator.choice(
            plain if generator.random() < _SHARE_PLAIN else [state.either[0], *list(state.counters)[:1]]
        )
        state.asked[name] = None
        read = self._read(state, name, line)
        if name == state.absent:
            return read
        if name in state.either:
            one, other = generator.sample(state.either, 2)
            return s.Binary("and", self._read(state, one, line), self._read(state, other, line), line)
        other_value = self._other(state, name, line)
        if name in state.counters:
            return s.Binary("<", read, other_value, line)
        return s.Binary("==" if name in state.texts else generator.choice(("==", ">", ">=")), read, other_value, line)


def _whole(value: int, line: int) -> s.Number:
    return s.Number(str(value), float(value), line)
