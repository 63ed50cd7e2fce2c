"""The scripts of our own that the front end is tested with."""

from __future__ import annotations

from pathlib import Path

CORPUS = Path(__file__).parent.parent / "obfuscator" / "corpus"


def accepted_scripts(*, newer: bool = True) -> dict[str, str]:
    """Scripts by file name that Luau accepts; with `newer`, also those that only Luau after 0.711 does."""
    paths = [*(CORPUS / "accepted").glob("*.lua*")]
    if newer:
        paths += (CORPUS / "accepted" / "newer").glob("*.lua*")
    return {path.name: path.read_text("utf-8") for path in sorted(paths)}


def broken_scripts() -> dict[str, str]:
    """Scripts by file name, without the ending, that Luau rejects."""
    return {path.stem: path.read_text("utf-8") for path in sorted((CORPUS / "broken").glob("*.luau"))}
