"""How long the loader takes to check one signature, to agree on a key and to hash a payload, in each Lua it runs on: `python bench/signatures.py`.

The baseline is Python's `cryptography`, and its `hashlib`, in the same run. Processor time of the interpreter; the first check compiles what the others use.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from moonlatch.client.loader_source import lua_string, modules_source  # noqa: E402
from support.lua_host import ENGINES, run_text  # noqa: E402

ROUNDS = 10
PAYLOAD_BYTES = 50_000

MEASURE = """
local key, message, signature, rounds, size = %s, %s, %s, %d, %d
local function milliseconds(work)
  local start = os.clock()
  work()
  return (os.clock() - start) * 1000
end
local function verify()
  assert(verify_signature(key, message, signature), "not a signature")
end
local first, best = milliseconds(verify), math.huge
for _ = 1, rounds do
  best = math.min(best, milliseconds(verify))
end
local block = memory.from_string(string.rep("p", size))
blake2s(block, 64)
local secret, nine = string.rep("s", 32), "\\9" .. string.rep("\\0", 31)
local agreed = math.huge
for _ = 1, rounds do
  agreed = math.min(agreed, milliseconds(function()
    x25519(secret, x25519(secret, nine))
  end))
end
print(string.format("%%.2f %%.2f %%.2f %%.2f", first, best, agreed, milliseconds(function()
  blake2s(block, size)
end)))
"""


def milliseconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(100):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best * 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", nargs="*", choices=list(ENGINES), default=list(ENGINES))
    options = parser.parse_args()
    private, message = Ed25519PrivateKey.generate(), b"moonlatch/2 " + bytes(32)
    public, signature = private.public_key(), private.sign(message)
    literals = (lua_string(one) for one in (public.public_bytes_raw(), message, signature))
    text = modules_source("blake2s") + MEASURE % (*literals, ROUNDS, PAYLOAD_BYTES)
    share = X25519PrivateKey.generate()
    other = X25519PrivateKey.generate().public_key().public_bytes_raw()
    print(
        f"milliseconds: the first check, the best of {ROUNDS}; agreeing (python: the server's side); BLAKE2s of {PAYLOAD_BYTES:,} bytes"
    )
    checked = milliseconds(lambda: public.verify(signature, message))
    agreed = milliseconds(lambda: share.exchange(X25519PublicKey.from_public_bytes(other)))
    hashed = milliseconds(lambda: hashlib.blake2s(bytes(PAYLOAD_BYTES)).digest())
    print(f"{'python':10}{checked:8.2f}{checked:8.2f}{agreed:8.3f}{hashed:8.2f}")
    for engine in options.engine:
        columns = run_text(text, engine=engine, timeout_seconds=120, is_optimised=True)[0].split()
        print(f"{engine:10}" + "".join(f"{float(column):8.2f}" for column in columns))


if __name__ == "__main__":
    main()
