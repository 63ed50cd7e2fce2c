"""What somebody learns who has replaced every function of the host by one that writes down what it is given and gives back."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from support.luau import run_lua
from support.protecting import LUA51_PROGRAMS, build_of, protected
from support.replaced_functions import seen

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("builds of programs")

# At a limit of the compiler, where a wide call hands its values over through `unpack`.
PROGRAMS = [program for program in LUA51_PROGRAMS if program.name not in {"long_lists.lua", "many_locals.lua"}]


class _Texts(Rewriter):
    """Collects the strings of a source that are longer than a letter."""

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.chunk(parse(source))

    def rewrite_string(self, node: tree.String) -> tree.Expression:
        if len(node.value) > 1:
            self.found.add(node.value.decode("latin-1").replace("\n", "\\n"))
        return node


@pytest.mark.parametrize("profile", ["light", "standard", "maximum"])
def test_replaced_functions_see_hardly_more_than_what_the_script_gives_them_itself(profile: str) -> None:
    shown = plain = there = 0
    for program in PROGRAMS:
        source = program.read_bytes()
        texts = _Texts(source).found
        there += len(texts)
        plain += len(texts & seen(source.decode("latin-1")))
        shown += len(texts & seen(build_of(program, profile, target="lua51")))
    assert there > 300
    assert 0.3 < plain / there < 0.8, "these programs print much of what is in them"
    assert plain <= shown <= plain + 0.02 * there


def test_what_a_script_keeps_to_itself_is_seen_by_no_function() -> None:
    words = [f"word number {number}" for number in range(60)]
    source = "\n".join(
        [
            "local function find(x)",
            *(f'if x == "{word}" then return {number}.5 end' for number, word in enumerate(words)),
            "end",
        ]
    )
    source += '\nlocal n = 0 for i = 0, 59 do n = n + find("word number " .. i) end print(n)'
    for profile in ("light", "standard", "maximum"):
        text = protected(source, profile, target="lua51")
        assert run_lua("lua51", text).output == run_lua("lua51", source).output
        assert not seen(text) & set(words)
