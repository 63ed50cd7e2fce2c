"""What a worker process gives up before it does a job, so that a script that takes it over reaches nothing but its own answer.

Several ways that hold each by itself; which of them there are depends on the system and on who runs the server.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys

import msgspec

from moonlatch.builds import landlock, system_calls

NOBODY = 65534
"""User and group of a worker whose server runs as root: they own nothing."""

_PARENTS_FILES = 16
_PR_SET_NO_NEW_PRIVS = 38


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """What holds a worker. `landlock` is the version of the kernel's interface, 0 for none."""

    other_user: bool
    no_new_files: bool
    landlock: int
    system_calls: bool

    @property
    def holds(self) -> str:
        """For people: what there is."""
        ways = (
            (self.other_user, "a user of their own"),
            (self.no_new_files, "no further open files or sockets"),
            (bool(self.landlock), f"Landlock (version {self.landlock})"),
            (self.system_calls, "a filter of system calls"),
        )
        return ", ".join(text for there, text in ways if there) or "nothing"

    @property
    def missing(self) -> str:
        """For people: what this system does not give, empty where nothing is missed."""
        ways = ((self.landlock, "Landlock"), (self.system_calls, "a filter of system calls"))
        return ", ".join(text for there, text in ways if not there)


def leave_root() -> bool:
    """Become somebody who owns nothing, where this process may; whatever needs a file must be loaded already.

    Returns whether it did.
    """
    if os.geteuid() != 0:
        return False
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:  # root in name only: no capability, or no such user in this namespace
        return False
    return True


def confine_parent() -> None:
    """Give up, for good, what a process needs no more that has loaded everything and only forks."""
    _rule_out_new_privileges()
    landlock.restrict()
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (_PARENTS_FILES, _PARENTS_FILES))


def confine(*, other_user: bool) -> Confinement:
    """Give up files, network and other processes, for good. What is open stays, and nothing further can be loaded."""
    _rule_out_new_privileges()
    version = landlock.restrict()
    # Last, since the others are calls themselves.
    no_new_files = _no_new(resource.RLIMIT_NOFILE)
    _no_new(resource.RLIMIT_NPROC)
    return Confinement(
        other_user=other_user,
        no_new_files=no_new_files,
        landlock=version,
        system_calls=system_calls.restrict(),
    )


def _rule_out_new_privileges() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _no_new(limit: int) -> bool:
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(limit, (0, 0))
        return True
    return False
