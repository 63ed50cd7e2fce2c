"""What a test of `LA_GUARD` costs on each Lua, in milliseconds of its processor: the first one of a run, and the best of those after it.

usage: .venv/bin/python bench/guards.py
"""

from __future__ import annotations

import os

import protector

from support.luau import SYSTEM_LUAS, run_lua, run_luau_batch
from support.protecting import protected

FUNCTION = 'LA_GUARD(given == "Wq7.vN2x-Rk40Jd_Lm81Zt", function() return 1 end)'
SOURCE = f"""
local function try() local begun = os.clock() given = "wrong" {FUNCTION} return (os.clock() - begun) * 1000 end
local first, best = try(), math.huge
for _ = 1, 5 do best = math.min(best, try()) end
print(string.format("%.1f ms first, %.1f ms after it", first, best))
"""


def main() -> None:
    if protector.SCHEDULED.exists():
        os.environ["NODE_OPTIONS"] = f"--import={protector.CLOCK.as_uri()}"
    text = protected(SOURCE)
    print(f"{len(text) - len(protected(SOURCE, 'minify')):,} bytes of the build")
    for host in SYSTEM_LUAS:
        print(f"{host:12} {run_lua(host, text, 120).output}")
    print(f"{'luau':12} {run_luau_batch([text], 120, loads=True, is_optimised=True)[0].output}")


if __name__ == "__main__":
    main()
