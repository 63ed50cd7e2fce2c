"""Leaves this process the few system calls that computing needs, by Linux's seccomp. Everything else fails with EPERM.

It can then read and write what is open, take memory, tell the time and end: open nothing, connect to nothing, signal nobody.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from typing import Final

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

# Per machine: how the kernel names its calling convention (linux/audit.h), and the numbers of the calls (asm/unistd.h).
# Names beside numbers, because no other part of this program would notice a wrong one.
_X86_64: Final = {
    "read": 0,
    "write": 1,
    "close": 3,
    "fstat": 5,
    "lseek": 8,
    "mmap": 9,
    "mprotect": 10,
    "munmap": 11,
    "brk": 12,
    "rt_sigaction": 13,
    "rt_sigprocmask": 14,
    "rt_sigreturn": 15,
    "readv": 19,
    "writev": 20,
    "sched_yield": 24,
    "mremap": 25,
    "madvise": 28,
    "getpid": 39,
    "exit": 60,
    "gettimeofday": 96,
    "sigaltstack": 131,
    "gettid": 186,
    "futex": 202,
    "restart_syscall": 219,
    "clock_gettime": 228,
    "exit_group": 231,
    "getrandom": 318,
}
_ARM_64: Final = {
    "close": 57,
    "lseek": 62,
    "read": 63,
    "write": 64,
    "readv": 65,
    "writev": 66,
    "fstat": 80,
    "exit": 93,
    "exit_group": 94,
    "futex": 98,
    "clock_gettime": 113,
    "sched_yield": 124,
    "restart_syscall": 128,
    "sigaltstack": 132,
    "rt_sigaction": 134,
    "rt_sigprocmask": 135,
    "rt_sigreturn": 139,
    "gettimeofday": 169,
    "getpid": 172,
    "gettid": 178,
    "brk": 214,
    "munmap": 215,
    "mremap": 216,
    "mmap": 222,
    "mprotect": 226,
    "madvise": 233,
    "getrandom": 278,
}
_MACHINES: Final = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _ARM_64)}

# The filter's instructions (linux/bpf_common.h, linux/seccomp.h).
_LOAD = 0x20
_JUMP_IF_EQUAL = 0x15
_RETURN = 0x06
_ALLOW = 0x7FFF0000
_FAIL = 0x00050000 | errno.EPERM
_KILL = 0x80000000
_NUMBER_OFFSET, _CONVENTION_OFFSET = 0, 4
_INSTRUCTION = "=HBBI"


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def restrict() -> bool:
    """Install the filter, for good. No new privileges must be set already. Returns whether this system has it."""
    machine = _MACHINES.get(os.uname().machine) if sys.platform == "linux" and sys.maxsize > 2**32 else None
    if machine is None:
        return False
    instructions = _filter(*machine)
    program = _Program(len(instructions) // struct.calcsize(_INSTRUCTION), instructions)
    refused: int = ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    return refused == 0


def _filter(convention: int, calls: dict[str, int]) -> bytes:
    """A list of what may be called, so that what a later kernel brings is refused too."""
    lines = [
        (_LOAD, 0, 0, _CONVENTION_OFFSET),
        (_JUMP_IF_EQUAL, 1, 0, convention),
        (_RETURN, 0, 0, _KILL),  # the numbers mean other calls there
        (_LOAD, 0, 0, _NUMBER_OFFSET),
    ]
    for number in calls.values():
        lines += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    lines.append((_RETURN, 0, 0, _FAIL))
    return b"".join(struct.pack(_INSTRUCTION, *line) for line in lines)
