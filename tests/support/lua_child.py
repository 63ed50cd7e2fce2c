"""The child process of `support.luau.run_lua`: runs the script on standard input and prints the outcome as JSON."""

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
    runtime = lupa.LuaRuntime(encoding="latin-1", register_eval=False, unpack_returned_tuples=True)
    run = runtime.execute(WRAPPER)
    output, error, compile_error = run(sys.stdin.buffer.read().decode("latin-1"))
    json.dump({"output": output, "error": error, "compile_error": compile_error}, sys.stdout)


main()
