"""Puts a folder's modules into one script, each once, and knows which line of it came from where."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from moonlatch.bundler.faults import BundleError
from moonlatch.bundler.folder import ENDINGS, Folder, Read
from moonlatch.bundler.requires import Module, read_module
from moonlatch.obfuscator.analysis.source_files import next_line_is

MAX_MODULES = 2_000
ENTRIES = tuple(f"{folder}{name}{ending}" for folder in ("", "src/") for name in ("main", "init") for ending in ENDINGS)
"""Where a folder's script is looked for, unless it is named."""

_OF_HOSTS = frozenset(
    ("bit", "bit32", "coroutine", "debug", "ffi", "io", "jit", "math", "os", "package", "string", "table", "utf8")
)
_PLACE = re.compile(r"\bscript:([0-9]+)")
_LINE = re.compile(r"\b([Ll]ine) ([0-9]+)")


@dataclass(slots=True)
class Bundle:
    """One script made of several files. `warnings` each name a place."""

    text: bytes
    entry: str
    files: list[str]
    warnings: list[str]
    _starts: list[tuple[int, str]] = field(default_factory=list)
    """The line of the script at which each file begins, in ascending order."""

    def place_of(self, line: int) -> tuple[str, int]:
        """The file and the line in it that a line of the script came from; both 1-based."""
        start, file = self._starts[max(0, bisect_right(self._starts, line, key=lambda one: one[0]) - 1)]
        return file, max(1, line - start + 1)

    def in_files(self, message: str) -> str:
        """What was said of the script, with the files' own places."""
        message = _PLACE.sub(lambda found: "{}:{}".format(*self.place_of(int(found[1]))), message)
        return _LINE.sub(lambda found: "{}:{}".format(*self.place_of(int(found[2]))), message)


def bundle(read: Read, entry: str | None = None) -> Bundle:
    """The script that `entry` is, with every module that it asks for. Raises BundleError."""
    folder = Folder(read)
    entry = entry or _entry_of(folder)
    modules, found = _modules(folder, entry)
    _refuse_cycles(entry, modules, found)
    words = frozenset[str]().union(*(module.words for module in modules.values()))
    require, bodies, loaded = (
        _fresh(name, words) for name in ("moonlatch_require", "moonlatch_modules", "moonlatch_loaded")
    )
    writer = _Writer()
    others = [file for file in modules if file != entry]
    if others:
        writer.own(
            f"local {require} = (function() local {bodies}, {loaded} = {{}}, {{}} "
            f"local function {require}(name) local value = {loaded}[name] "
            f"if value == nil then value = {bodies}[name](name) if value == nil then value = true end "
            f"{loaded}[name] = value end return value end\n"
        )
        for file in others:
            writer.own(f"{bodies}[{_quoted(file)}] = function(...) {_names_next(file)}")
            writer.file(file, modules[file].with_names(require, found[file]))
            writer.own("\nend\n")
        writer.own(f"return {require} end)() {_names_next(entry)}")
    writer.file(entry, modules[entry].with_names(require, found[entry]))
    warnings = [
        f"{file}:{line}: the module is chosen while it runs, so it is not in the bundle"
        for file, module in modules.items()
        for line in module.unknown
    ]
    warnings += [
        f"{file}:{one.line}: there is no module {one.name} in the folder; the host is asked for it"
        for file, module in modules.items()
        for one in module.requires
        if one.name not in found[file] and one.name not in _OF_HOSTS
    ]
    return Bundle(writer.text.encode("latin-1"), entry, list(modules), sorted(warnings), writer.starts)


def _entry_of(folder: Folder) -> str:
    there = [one for one in ENTRIES if folder.read(one) is not None]
    if len(there) != 1:
        found = f"it may be {' or '.join(there)}" if there else f"none of {', '.join(ENTRIES)} is there"
        raise BundleError("", 0, f"which file is the script? {found}", "Name it with --entry.")
    return there[0]


def _modules(folder: Folder, entry: str) -> tuple[dict[str, Module], dict[str, dict[str, str]]]:
    """Every module by its file, those that are asked for after those that ask, and of each the files that its names mean."""
    if folder.read(entry) is None:
        raise BundleError(entry, 0, "There is no such file in the folder")
    modules: dict[str, Module] = {}
    found: dict[str, dict[str, str]] = {}
    waiting = [entry]
    while waiting:
        file = waiting.pop()
        if file in modules:
            continue
        if len(modules) >= MAX_MODULES:
            raise BundleError(file, 0, f"A script has at most {MAX_MODULES:,} modules")
        source = folder.read(file)
        assert source is not None  # it was found
        module = modules[file] = read_module(file, source)
        found[file] = {}
        for one in module.requires:
            target = folder.found(one.name, by=file, line=one.line)
            if target is not None:
                found[file][one.name] = target
                waiting.append(target)
    return modules, found


def _refuse_cycles(entry: str, modules: dict[str, Module], found: dict[str, dict[str, str]]) -> None:
    """Raise BundleError where a module asks for itself by way of others: its value would be needed before it is made."""
    done: set[str] = set()
    path: list[str] = []
    stack = [(entry, iter(modules[entry].requires))]
    path.append(entry)
    while stack:
        file, requires = stack[-1]
        for one in requires:
            target = found[file].get(one.name)
            if target is None or target in done:
                continue
            if target in path:
                cycle = [*path[path.index(target) :], target]
                raise BundleError(file, one.line, f"The modules ask for each other in a circle: {' -> '.join(cycle)}")
            path.append(target)
            stack.append((target, iter(modules[target].requires)))
            break
        else:
            stack.pop()
            done.add(path.pop())


class _Writer:
    def __init__(self) -> None:
        self._parts: list[str] = []
        self._line = 1
        self.starts: list[tuple[int, str]] = []

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def own(self, text: str) -> None:
        self._parts.append(text)
        self._line += text.count("\n")

    def file(self, file: str, text: str) -> None:
        self.starts.append((self._line, file))
        self.own(text)


def _fresh(wanted: str, words: frozenset[str]) -> str:
    while wanted in words:
        wanted += "_"
    return wanted


def _names_next(file: str) -> str:
    """What says to whoever protects the script that the file begins on the next line."""
    return next_line_is(file, 1).encode().decode("latin-1")


def _quoted(file: str) -> str:
    escaped = file.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'.encode().decode("latin-1")
