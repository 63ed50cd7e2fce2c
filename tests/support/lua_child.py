"""The child process of `support.luau.run_lua_batch`: runs the scripts on standard input, one a line as JSON, each in a
fresh state, and prints one outcome a line as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys

WRAPPER = """
local load, tostring, select, concat = loadstring or load, tostring, select, table.concat
local lines = {}
print = function(...)
    local parts = {}
    for index = 1, select("#", ...) do parts[index] = tostring((select(index, ...))) end
    lines[#lines + 1] = concat(parts, "\\t")
end
return function(source)
    local chunk, problem = load(source, "=script")
    if not chunk then return "", nil, problem end
    local ok, value = pcall(chunk)
    local kind, text = type(value), nil
    if not ok then
        text = (kind == "string" or kind == "number" or kind == "nil" or kind == "boolean") and tostring(value) or "<" .. kind .. ">"
    end
    return concat(lines, "\\n"), text, nil
end
"""


def main() -> None:
    lupa = importlib.import_module(f"lupa.{sys.argv[1]}")
    for line in sys.stdin:
        source = json.loads(line)["source"]
        runtime = lupa.LuaRuntime(encoding="latin-1", register_eval=False, unpack_returned_tuples=True)
        output, error, compile_error = runtime.execute(WRAPPER)(source)
        result = {"output": escaped(output), "error": escaped(error), "compile_error": compile_error}
        print(json.dumps(result), flush=True)


def escaped(text: str | None) -> str | None:
    """As the runner of Luau writes text: `support.luau` takes a backslash for the beginning of an escaped byte."""
    return text and text.replace("\\", "\\092")


main()
