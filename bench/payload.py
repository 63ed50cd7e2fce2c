"""How long the loader takes to open a 1 MB payload in each Lua it runs on; the baseline is Python's `cryptography` in the same run.

It opens a whole reply as the loader does, and protected like it: JSON, base64, authentication, decryption, text. Wall time is what a user waits, processor time
what it costs when others use the machine too. The aim is under 1 s for 1 MB in Luau.

usage: python bench/payload.py [--megabytes N] [--engine luau ...] [--profile NAME, or none for the code as it is written]
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import resource
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from moonlatch.builds.protection import LOADER_PROFILE  # noqa: E402
from moonlatch.client.loader_source import modules_source  # noqa: E402
from moonlatch.obfuscator.options import PROFILES, Options  # noqa: E402
from moonlatch.obfuscator.outcome import Protected  # noqa: E402
from moonlatch.obfuscator.pipeline import protect  # noqa: E402
from moonlatch.obfuscator.target import Target  # noqa: E402
from support.lua_host import ENGINES, run_text  # noqa: E402

KEY = bytes(range(32))
ASSOCIATED = bytes(32)
ROUNDS = 5

MEASURE = """
local text, rounds = ...
local key = {}
for i = 0, 31 do
  key[#key + 1] = string.char(i)
end
key = table.concat(key)
local function open()
  local start = os.clock()
  local reply = json.decode(text)
  local parsed = os.clock()
  local block, length = base64.decode(reply.payload)
  local decoded = os.clock()
  assert(sha256.hex(blake2s(block, length)) == reply.payload_digest, "not authentic")
  length = length - 16
  chacha20.apply(block, length, 1, memory.from_string(key), memory.from_string(string.rep("\\0", 12)))
  local opened = os.clock()
  local payload = memory.to_string(block, length)
  print(string.format("%.4f %.4f %.4f %.4f", parsed - start, decoded - parsed, opened - decoded, os.clock() - opened))
end
for _ = 1, tonumber(rounds) do
  open()
end
"""


def program(profile: str) -> str:
    """The loader's own modules, protected as a loader is."""
    text = modules_source("json") + MEASURE
    if profile == "none":
        return text
    outcome = protect(text.encode("ascii"), Options(profile, Target.LUA51), seed=1)
    assert isinstance(outcome, Protected), outcome
    return outcome.text


def openings(text: str, reply: str, engine: str, rounds: int) -> tuple[list[list[float]], float]:
    """Seconds of each opening's parts, and the processor time of the whole process, its start included."""
    before = _processor_seconds()
    lines = run_text(text, reply, str(rounds), engine=engine, timeout_seconds=600, is_optimised=True)
    return [[float(field) for field in line.split()] for line in lines], _processor_seconds() - before


def _processor_seconds() -> float:
    """Of all child processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def python_seconds(sealed: bytes) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ChaCha20Poly1305(KEY).decrypt(bytes(12), base64.b64decode(sealed), ASSOCIATED)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=1)
    parser.add_argument("--engine", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--profile", choices=["none", *PROFILES], default=LOADER_PROFILE)
    options = parser.parse_args()
    text = program(options.profile)
    size = int(options.megabytes * 1_000_000)
    payload = (b"local answer = compute(12345) print(answer) " * (size // 44 + 1))[:size]
    ciphertext = ChaCha20Poly1305(KEY).encrypt(bytes(12), payload, ASSOCIATED)
    sealed, digest = base64.b64encode(ciphertext), hashlib.blake2s(ciphertext).hexdigest()
    reply = json.dumps({"success": True, "payload": sealed.decode(), "payload_digest": digest})
    baseline = python_seconds(sealed)
    print(
        f"payload of {size} bytes, profile {options.profile}, seconds; the first opening (what a user waits for), the best of {ROUNDS} and its parts"
    )
    print("cpu: processor time of one more opening, all threads of the process")
    print(f"{'':10}" + "".join(f"{name:>8}" for name in ("first", "best", "json", "base64", "open", "text", "cpu")))
    print(f"{'python':10}{baseline:8.4f}{baseline:8.4f}")
    for engine in options.engine:
        _, once = openings(text, reply, engine, 1)
        parts, often = openings(text, reply, engine, ROUNDS)
        best = min(parts, key=sum)
        columns = (sum(parts[0]), sum(best), *best, (often - once) / (ROUNDS - 1))
        print(
            f"{engine:10}" + "".join(f"{seconds:8.3f}" for seconds in columns), f"  {sum(best) / baseline:.0f} x python"
        )


if __name__ == "__main__":
    main()
