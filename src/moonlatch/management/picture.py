"""The picture of a user's device: hashes as coloured squares, to compare by eye without showing anything. Pure."""

from __future__ import annotations

from moonlatch.crypto import derive

_COLOURS = "🟥🟧🟨🟩🟦🟪🟫⬛"
_UNKNOWN = "⬜" * 6
_LABEL = "moonlatch/1 picture"


def device_picture(*, project_id: str, ip: bytes | None, fingerprint: bytes | None, executor: str | None) -> str | None:
    """Three lines of six squares, for what was seen last; None when nothing was. `ip` and `fingerprint` are keyed hashes.

    The same device gives the same picture within a project. Six squares of eight colours tell 262,144 devices apart.
    """
    if ip is None and fingerprint is None and executor is None:
        return None
    name = None if executor is None else executor.encode()
    return "\n".join(
        f"{squares(kind, project_id, value)} -> {kind}"
        for kind, value in (("ip", ip), ("fingerprint", fingerprint), ("executor", name))
    )


def squares(kind: str, project_id: str, value: bytes | None) -> str:
    """The six squares of one hash, as in its line of the picture."""
    if value is None:
        return _UNKNOWN
    digest = derive(value, _LABEL, kind, project_id)
    return "".join(_COLOURS[byte % len(_COLOURS)] for byte in digest[:6])
