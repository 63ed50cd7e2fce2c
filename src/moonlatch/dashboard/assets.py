"""What the dashboard's build left: files in memory, each as it is and compressed. Reads the folder once and knows no request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moonlatch import crypto

BUILT = Path(__file__).parent / "built"
"""Where `make setup` and the package put what was built; not in the repository."""

ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
"""As HTTP names them, and how their files end; the smaller one first."""

_PAGE = "page.html"
_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
}
_HASHED = (".css", ".js")
"""Their names hold a hash of what is in them: another content is another name."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page; `encoded` holds it compressed, by encoding."""

    body: bytes
    content_type: bytes
    etag: bytes
    is_immutable: bool
    encoded: Mapping[str, bytes]


def built_assets(folder: Path = BUILT) -> dict[str, Asset]:
    """The files by their path below the page's address; empty where nothing was built. The page itself is `""`."""
    found: dict[str, Asset] = {}
    if not (folder / _PAGE).is_file():
        return found
    for path in sorted(folder.rglob("*")):
        if path.suffix not in _TYPES or not path.is_file():
            continue
        body = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        found["" if name == _PAGE else name] = Asset(
            body=body,
            content_type=_TYPES[path.suffix],
            etag=f'"{crypto.content_hash(body)[:32]}"'.encode(),
            is_immutable=path.suffix in _HASHED,
            encoded={
                encoding: compressed.read_bytes()
                for encoding, suffix in ENCODINGS
                if (compressed := path.with_name(path.name + suffix)).is_file()
            },
        )
    return found
