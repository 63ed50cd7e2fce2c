"""Takes the file system, TCP and other processes from this process, by Linux's Landlock: no file name means anything to it any more.

Needs no privilege. What is open already stays open.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

# The same numbers on every architecture; the standard C library has no functions for them.
_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_CREATE_RULESET_VERSION = 1

# Which rights each version of the interface knows (linux/landlock.h); asking an older kernel for more is an error.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
_NETWORK_RIGHTS = 2
_NETWORK_SINCE = 4
_SCOPES = 2  # sockets without a file, and signals
_SCOPES_SINCE = 6


def version() -> int:
    """The version of Landlock's interface that this kernel speaks, 0 for none (too old, not built in, or switched off)."""
    if sys.platform != "linux":
        return 0
    answer: int = ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    return max(answer, 0)


def restrict() -> int:
    """Take everything that this kernel's Landlock can take, for good. No new privileges must be set already.

    Returns the version of the interface; 0 says that nothing was taken.
    """
    known = version()
    if not known:
        return 0
    files = max(rights for since, rights in _FILE_RIGHTS.items() if since <= known)
    network = _NETWORK_RIGHTS if known >= _NETWORK_SINCE else 0
    scopes = _SCOPES if known >= _SCOPES_SINCE else 0
    handled = struct.pack("=QQQ", *((1 << rights) - 1 for rights in (files, network, scopes)))
    system = ctypes.CDLL(None)
    # Rights that are handled and that no rule gives are taken. A kernel that knows less wants zeros in the rest.
    ruleset: int = system.syscall(_CREATE_RULESET, handled, len(handled), 0)
    if ruleset < 0:
        return 0
    try:
        return known if system.syscall(_RESTRICT_SELF, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)
