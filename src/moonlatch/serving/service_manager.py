"""Tells systemd, where that started us with `Type=notify`, that connections are accepted (sd_notify(3)). Elsewhere it does nothing."""

from __future__ import annotations

import contextlib
import os
import socket


def tell_ready() -> None:
    """Whoever waits for the start may go on. That nobody listens is not a reason not to serve."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    abstract = address.startswith("@")
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.connect("\0" + address[1:] if abstract else address)
        listener.sendall(b"READY=1")
