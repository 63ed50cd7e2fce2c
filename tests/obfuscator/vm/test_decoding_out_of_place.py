"""Calling what a build deciphers itself with, before or after it runs, must not show what its run does not come to."""

from __future__ import annotations

from support.calling import attacks
from support.luau import run_luau_batch
from support.protecting import protected
from support.rounds import rounds

WORDS = [f"{word} of the script" for word in ["amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron"]]
SCRIPT = """
local function locked(name)
    local words = { ["amber of the script"] = name, 1 }
    for index, word in next, words do
        if word == "basil of the script" then error("cedar of the script" .. index) end
    end
    return function() return "delta of the script" end
end
local function open(name)
    if type(name) == "thread" then
        local made = locked("ember of the script")
        print("fjord of the script", made())
        while made do print("grove of the script") made = nil end
    end
    return name
end
print(open(1), open("heron of the script"))
"""
MOST = 2
"""The one that the script comes to, and another that somebody could come upon by chance."""


def test_what_a_run_does_not_come_to_is_not_deciphered_by_calling_its_decoders() -> None:
    build = protected(SCRIPT, "maximum", 1)
    assert not any(word in build for word in WORDS)
    results = run_luau_batch(attacks(build, WORDS, rounds(7, 1)))
    found = [int(result.output.splitlines()[-1]) for result in results if result.error is None]
    assert len(found) > len(results) // 2
    assert max(found) <= MOST


def test_the_attack_finds_what_a_function_of_a_place_gives() -> None:
    listed = ", ".join(f'"{word}"' for word in WORDS)
    decoder = f"local decode do local words = {{ {listed} }} decode = function(place) return words[place] end end print(decode(1))"
    results = run_luau_batch(attacks(decoder, WORDS, 1))
    assert max(int(result.output.splitlines()[-1]) for result in results) == len(WORDS)
