"""`moonlatch explain`: turns the lines that a customer's console shows of a build into those of the source."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from moonlatch.cli.calling import DEFAULT_URL, Token, Url, asked
from moonlatch.cli.errors import where
from moonlatch.cli.output import CommandError, Json, read_script, say, shown, write_json
from moonlatch.licensing.crashes import spot_of

MOST_LINES = 200
MOST_CHARACTERS = 2_000

Found = dict[str, Any] | None
"""A place in the source, as the API has it."""

_HINTS = {404: "Is the id right, and does it belong to the token's account?"}


def explain(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What the console showed; - for standard input.", allow_dash=True)
    ],
    *,
    line_map: Annotated[
        Path | None,
        typer.Option("--map", metavar="MAP", help="A map that `protect --map` wrote; then no server is asked."),
    ] = None,
    script: Annotated[str, typer.Option(metavar="ID", help="Id of the script.", show_default=False)] = "",
    build: Annotated[int, typer.Option(metavar="NUMBER", min=0, help="Number of the build.", show_default=False)] = 0,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Turn console lines of a build into those of its source."""
    text = sys.stdin.buffer.read() if str(file) == "-" else read_script(file)
    lines = [each[:MOST_CHARACTERS] for each in text.decode("utf-8", "replace").splitlines()][:MOST_LINES]
    locate = _by_map(line_map) if line_map is not None else _by_server(url, script, build, token)
    found = [(line, locate(line)) for line in lines if spot_of(line) is not None]
    if as_json:
        write_json([{"text": line, "place": place} for line, place in found])
        return
    if not found:
        raise CommandError("no line names a place in a build", "Such a line looks like `My script:57: attempt to ...`.")
    for line, place in found:
        say(f"{line.strip()}\n  {'not known' if place is None else where(place)}")


def _by_map(file: Path) -> Callable[[str], Found]:
    from moonlatch.obfuscator.line_map import LineMap, LineMapError

    try:
        known = LineMap.from_bytes(read_script(file))
    except LineMapError:
        raise CommandError(f"{shown(file)} is not a map", "`moonlatch protect --map` writes one.") from None

    def locate(line: str) -> Found:
        spot = spot_of(line)
        place = None if spot is None else known.locate(spot.line, spot.column, spot.instruction)
        return None if place is None else {"file": place.file, "line": place.line, "function": place.function}

    return locate


def _by_server(url: str, script: str, build: int, token: str) -> Callable[[str], Found]:
    if not script or not build:
        raise CommandError("neither a map nor a build was named", "Add --map MAP, or --script ID and --build NUMBER.")
    asks = f"/scripts/{quote(script, safe='')}/builds/{build}/explain"

    def locate(line: str) -> Found:
        place: Found = asked(url, f"{asks}?{urlencode({'place': line})}", token, _HINTS)["place"]
        return place

    return locate
