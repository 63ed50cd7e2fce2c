"""The child process of `support.luau.run_lua_batch`: runs the scripts on standard input, one a line as JSON, each in a
fresh state, and prints one outcome a line as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

RUN = (Path(__file__).parent / "run_script.lua").read_text("ascii")


def main() -> None:
    lupa = importlib.import_module(f"lupa.{sys.argv[1]}")
    for line in sys.stdin:
        source = json.loads(line)["source"]
        runtime = lupa.LuaRuntime(encoding="latin-1", register_eval=False, unpack_returned_tuples=True)
        output, error, compile_error = runtime.execute(RUN)(source, runtime.globals())
        result = {"output": escaped(output), "error": escaped(error), "compile_error": compile_error}
        print(json.dumps(result), flush=True)


def escaped(text: str | None) -> str | None:
    """As the runner of Luau writes text: `support.luau` takes a backslash for the beginning of an escaped byte."""
    return text and text.replace("\\", "\\092")


main()
