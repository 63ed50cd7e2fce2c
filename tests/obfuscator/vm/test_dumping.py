"""One inserted `print` must not give a build's constants away."""

from __future__ import annotations

from support.dumping import PRELUDE, places
from support.luau import run_luau_batch
from support.protecting import protected
from support.rounds import rounds

WORDS = [
    f"{word} of the script"
    for word in ["amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron", "iris", "jade"]
]
SCRIPT = """
local account = { ["amber of the script"] = 1 }
local function greet(name) return "basil of the script" .. name end
local function visit(list)
    local total = 0
    for index, item in ipairs(list) do
        if item == "cedar of the script" then total = total + #"delta of the script" end
        account["ember of the script"] = (account["ember of the script"] or 0) + index
    end
    return total
end
local seen = visit({ "cedar of the script", "fjord of the script" })
account.note = greet("grove of the script")
if account.note == "heron of the script" then account = nil end
local handlers = { ["iris of the script"] = function() return "jade of the script" end }
print(seen, account.note, handlers["iris of the script"]())
"""


def test_no_single_place_of_a_build_shows_all_constants() -> None:
    build = protected(SCRIPT, "maximum", 1)
    assert not any(word in build for word in WORDS)
    listed = ", ".join(f'"{word}"' for word in WORDS)
    step = rounds(3, 1)
    attacks = [f"{PRELUDE} (function(...) {text} end)() print(dumped({listed}))" for text in places(build, step)]
    results = run_luau_batch(attacks)
    found = [int(result.output.splitlines()[-1]) for result in results if result.error is None]
    assert len(found) > 100 // step
    assert max(found) <= 0.8 * len(WORDS)
