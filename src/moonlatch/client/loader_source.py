"""Puts the loader's Lua files together into one chunk for one loader. Text in, text out: it protects and stores nothing."""

from __future__ import annotations

import re
import string
import struct
from functools import cache
from importlib import resources

from moonlatch.paseto import key_id

LOADER_VERSION = 11
"""Grows whenever scripts are to get a new loader with their next update."""

_MODULES = {
    "attempt": "attempt",
    "finding": "finding",
    "kernel": "kernel",
    "sha256": "sha256",
    "sha512": "sha512",
    "field": "field25519",
    "verify_signature": "ed25519",
    "x25519": "x25519",
    "signed": "signed",
    "memory": "memory",
    "chacha20": "chacha20",
    "blake2s": "blake2s",
    "base64": "base64",
    "json": "json",
    "encode_transcript": "transcript",
    "random": "random",
    "moments": "moments",
    "unseal": "payload",
    "leases": "leases",
    "executor_files": "executor_files",
    "is_hooked": "hooks",
    "roblox": "roblox",
    "hosts": "host",
    "post": "transport",
    "runtimes": "runtime",
    "instances": "instance",
    "questions": "questions",
    "reports": "reports",
    "server_variables": "variables",
    "remotes": "remotes",
    "execute": "execute",
    "keep_beating": "heartbeat",
    "keep_session": "session",
    "away": "away",
}
"""The local each file's value gets, and the file, in the order in which they need each other."""

_OF_LEASES = ("executor_files", "leases", "away")
"""The locals that are nil in the loader of a script which gives no leases: every start delivers a loader."""

_OF_REPORTS = ("reports",)
"""As `_OF_LEASES`, of a script that reports no errors."""

_UNPROTECTED = "if not LPH_OBFUSCATED then\n  function LA_NO_VIRTUALIZE(f) return f end\nend\n"
"""Lets the text run as it is too, which tests do; the protector drops it."""

_ID = re.compile(r"[A-Za-z0-9]{32}")
_BASE_URL = re.compile(r"https?://[A-Za-z0-9.\-_:\[\]]+(/[A-Za-z0-9.\-_~%/]*)?")
_SECRET_BYTES = 32
_PLAIN = frozenset((string.ascii_letters + string.digits + " .,:;-_").encode())


def loader_source(
    *,
    script_id: str,
    loader_id: str,
    secret: bytes,
    signing_key: bytes,
    exchange_key: bytes,
    base_url: str,
    keeps_leases: bool = False,
    reports_errors: bool = False,
) -> bytes:
    """The loader of one script as ASCII Lua that every Lua from 5.1 on and Luau understand, with or without the parts that keep leases
    and report errors.

    `base_url` is what the loader reaches the server under, with or without a closing slash. Raises ValueError when a
    value is not of the shape that the client protocol gives it.
    """
    for identifier in (script_id, loader_id):
        if not _ID.fullmatch(identifier):
            raise ValueError(f"not an id: {identifier!r}")
    for name, content in (("secret", secret), ("signing key", signing_key), ("exchange key", exchange_key)):
        if len(content) != _SECRET_BYTES:
            raise ValueError(f"the {name} must be {_SECRET_BYTES} bytes, got {len(content)}")
    if not _BASE_URL.fullmatch(base_url):
        raise ValueError(f"not a URL that a loader can use: {base_url!r}")
    settings = (
        "local settings = {\n"
        f'  script_id = "{script_id}",\n'
        f'  loader_id = "{loader_id}",\n'
        f"  secret = {{ {', '.join(map(str, struct.unpack('>8I', secret)))} }},\n"
        f"  signing_key = {lua_string(signing_key)},\n"
        f"  exchange_key = {lua_string(exchange_key)},\n"
        f'  signing_key_id = "{key_id(signing_key)}",\n'
        f'  base_url = "{base_url.rstrip("/")}",\n'
        "}\n"
    )
    return (settings + modules_source(keeps_leases=keeps_leases, reports_errors=reports_errors) + _file("main")).encode(
        "ascii"
    )


_OF_LIBRARY = ("attempt", "finding", "json", "roblox")


def library_source(base_url: str) -> bytes:
    """The library for key windows, as ASCII Lua that every Lua from 5.1 on and Luau understand. Raises ValueError as `loader_source`."""
    if not _BASE_URL.fullmatch(base_url):
        raise ValueError(f"not a URL that a script can use: {base_url!r}")
    text = f'local settings = {{ base_url = "{base_url.rstrip("/")}" }}\nlocal executor_files\n'
    for local in _OF_LIBRARY:
        text += f"local {local} = (function()\n{_file(_MODULES[local])}end)()\n"
    return (text + _file("library")).encode("ascii")


def missing_loader_source(message: str) -> bytes:
    """Lua that raises `message`, for a user whose script has no loader: they see the reason instead of a syntax error."""
    return f"error({lua_string(message.encode())}, 0)\n".encode("ascii")


def modules_source(last: str | None = None, *, keeps_leases: bool = True, reports_errors: bool = True) -> str:
    """All modules of the loader as locals, or only those up to and including the local named `last`."""
    left_out = (() if keeps_leases else _OF_LEASES) + (() if reports_errors else _OF_REPORTS)
    text = _UNPROTECTED
    for local, file in _MODULES.items():
        if local in left_out:
            text += f"local {local}\n"
        else:
            text += f"local {local} = (function()\n{_file(file)}end)()\n"
        if local == last:
            break
    return text


def lua_string(content: bytes) -> str:
    """A Lua string literal that means these bytes to every Lua."""
    # Three digits always, so that a digit that follows is not read as part of the escape.
    escaped = "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03d}" for byte in content)
    return f'"{escaped}"'


@cache
def _file(name: str) -> str:
    return (resources.files("moonlatch.client") / "lua" / f"{name}.lua").read_text("ascii")
