"""Which file a module's name means. Files come from a function, so that nothing outside of the folder can be reached."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from functools import cache

import msgspec

from moonlatch.bundler.faults import BundleError

Read = Callable[[str], bytes | None]
"""The bytes of a file by its path in the folder, with `/`; None where there is none."""

ENDINGS = (".luau", ".lua")
SETTINGS = ".luaurc"
_SELF = "self"
_COMMENTS_AND_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


class _Settings(msgspec.Struct):
    """What matters of a `.luaurc`."""

    aliases: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Settings).decode


class Folder:
    """A folder of modules. Paths are relative to it, with `/`."""

    def __init__(self, read: Read) -> None:
        self.read = cache(read)
        self._aliases_in = cache(self._read_aliases)

    def found(self, name: str, *, by: str, line: int) -> str | None:
        """The module that a file asks for; None for a name that may be the host's own, and is no file here.

        `./` and `../` are as in Luau: from the folder that the file is in, and for `init.luau` from the one that its folder is in.
        `@name/` is an alias of the nearest `.luaurc`, `@self/` the folder of an `init.luau`. `a.b` and `a/b` are Lua's, from the
        folder's top, and `a/b` from the file's own folder as well. Raises BundleError.
        """
        own = posixpath.dirname(by)
        if name.startswith(("./", "../")) or name in (".", ".."):
            start = posixpath.dirname(own) if _is_init(by) else own
            module = self._at(start, name, by, line)
            return module if module is not None else self._missing(name, by, line)
        if name.startswith("@"):
            module = self._aliased(name, by, line)
            return module if module is not None else self._missing(name, by, line)
        dotted = name if "/" in name else name.replace(".", "/")
        for start, path in (("", dotted), (own, name)):
            if path and not path.startswith("/") and (module := self._at(start, path, by, line)) is not None:
                return module
        return None

    def _at(self, start: str, path: str, by: str, line: int) -> str | None:
        target = posixpath.normpath(posixpath.join(start, path))
        if target == ".." or target.startswith(("../", "/")):
            hint = "Bundle the folder that holds both, and name the script with --entry."
            raise BundleError(by, line, f"{path} lies outside of the folder", hint)
        base = "" if target == "." else target
        names = [base + ending for ending in ENDINGS] if base else []
        names += [posixpath.join(base, "init" + ending) for ending in ENDINGS]
        if base.endswith(ENDINGS):
            names.append(base)
        there = [one for one in names if self.read(one) is not None and one != by]
        if len(there) > 1:
            raise BundleError(by, line, f"{path} may be {' or '.join(there)}", "Rename one of them.")
        return there[0] if there else None

    def _missing(self, name: str, by: str, line: int) -> str:
        hint = ""
        if _is_init(by) and name.startswith("./"):
            own = posixpath.join("@self", name[2:])
            if self._at(posixpath.dirname(by), name, by, line) is not None:
                hint = f'In {posixpath.basename(by)}, what is in its own folder is "{own}".'
        raise BundleError(by, line, f"There is no module {name}", hint)

    def _aliased(self, name: str, by: str, line: int) -> str | None:
        alias, _, rest = name[1:].partition("/")
        if alias.lower() == _SELF:
            return self._at(posixpath.dirname(by), rest or ".", by, line)
        folder = posixpath.dirname(by)
        while True:
            path = self._aliases_in(folder).get(alias.lower())
            if path is not None:
                return self._at(folder, posixpath.join(path, rest), by, line)
            if not folder:
                raise BundleError(by, line, f"No {SETTINGS} knows the alias @{alias}")
            folder = posixpath.dirname(folder)

    def _read_aliases(self, folder: str) -> dict[str, str]:
        """Paths by lower-case names, as a `.luaurc` has them: JSON with comments and trailing commas."""
        file = posixpath.join(folder, SETTINGS)
        data = self.read(file)
        if data is None:
            return {}
        try:
            text = _COMMENTS_AND_TEXTS.sub(
                lambda found: found[0] if found[0][0] == '"' else " ", data.decode("utf-8-sig")
            )
            settings = _decode(_TRAILING_COMMA.sub(lambda found: found[1] or "", text))
        except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError) as error:
            raise BundleError(file, 0, f"It is not what Luau takes: {error}") from None
        return {name.lower(): path for name, path in settings.aliases.items()}


def _is_init(file: str) -> bool:
    return posixpath.basename(file) in tuple("init" + ending for ending in ENDINGS)
