"""A stand-in for a server: `python confined_server.py FOLDER WITHOUT`, whose worker is taken over and tries what FOLDER/probes.py says.

`WITHOUT` names calls that its kernel does not have, as an older one would not: `landlock`, `seccomp`, both or neither. It prints
what the probes said and whose its workers were, as JSON, and logs.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import struct
import sys
from pathlib import Path

from moonlatch.builds.job import Done, Job
from moonlatch.builds.pool import WorkerPool
from moonlatch.config.sections import ProtectorSettings

ENOSYS, EINVAL = 0x00050000 | 38, 0x00050000 | 22
ALLOW = 0x7FFF0000
X86_PRCTL, PR_SET_SECCOMP, LANDLOCK_CREATE_RULESET = 157, 22, 444
ARM_PRCTL = 167


def take_away(without: set[str]) -> None:
    """Install a filter that children inherit."""
    prctl = ARM_PRCTL if os.uname().machine == "aarch64" else X86_PRCTL
    lines = [(0x20, 0, 0, 0)]
    if "landlock" in without:
        lines += [(0x15, 0, 1, LANDLOCK_CREATE_RULESET), (0x06, 0, 0, ENOSYS)]
    if "seccomp" in without:
        # The option is the first argument.
        lines += [(0x15, 0, 3, prctl), (0x20, 0, 0, 16), (0x15, 0, 1, PR_SET_SECCOMP), (0x06, 0, 0, EINVAL)]
    code = b"".join(struct.pack("=HBBI", *line) for line in [*lines, (0x06, 0, 0, ALLOW)])

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    system = ctypes.CDLL(None)
    assert system.prctl(38, 1, 0, 0, 0) == 0
    assert system.prctl(PR_SET_SECCOMP, 2, ctypes.byref(Program(len(code) // 8, code)), 0, 0) == 0


async def main(folder: Path, without: set[str]) -> None:
    logging.basicConfig(level=logging.INFO)
    if without:
        take_away(without)
    os.environ["PYTHONPATH"] = str(folder)
    pool = WorkerPool(ProtectorSettings(workers=2, timeout_seconds=60, memory_mib=1024, max_waiting=1))
    deadline = asyncio.get_running_loop().time() + 60
    job = Job(source=b"", profile="light", target="luau", client_chunk=True, seed=1)
    answer, _ = await asyncio.gather(*(pool.answer_to(job, deadline=deadline) for _ in range(2)))
    assert isinstance(answer, Done), answer
    users = {
        int(Path(f"/proc/{worker}/status").read_text().partition("Uid:")[2].split()[0]) for worker in pool.process_ids
    }
    await pool.close()
    print(json.dumps({"said": json.loads(answer.text), "users": sorted(users)}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), set(sys.argv[2].split(",")) - {""}))
