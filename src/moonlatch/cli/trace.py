"""`moonlatch trace`: asks a running server whose copy a leaked text is, as any other client would."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from moonlatch.cli.calling import DEFAULT_URL, ScriptId, Token, Url, address, is_done, posted, require_token
from moonlatch.cli.output import CommandError, Json, read_script, say, show_table


def trace(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What was leaked; - for standard input.", allow_dash=True)
    ],
    *,
    script: ScriptId,
    build: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="Of which build it is.", show_default=False)
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Find out whose copy of a script was leaked.

    By its marks and by a run key in it, which may also be given alone, in hexadecimal. It is evidence, and blacklists nobody.
    """
    require_token(token)
    leaked = sys.stdin.buffer.read() if str(file) == "-" else read_script(file)
    try:
        text = leaked.decode()
    except UnicodeDecodeError:
        raise CommandError("the file is not UTF-8", "A build is plain ASCII; leave the rest out.") from None
    body = {"file": text, **({} if build is None else {"build": build})}
    status, reply = posted(address(url, "scripts", script, "trace"), token, body)
    if is_done(status, reply, "it was not traced", as_json=as_json):
        _show(reply)


def _show(reply: dict[str, Any]) -> None:
    keyed = [one for one in reply["run_keys"] if one["named"]]
    if keyed:
        say(f"It holds a run key; {reply['keys']:,} keys were compared.")
        _show_named(keyed, "words of 8")
    if reply["build"] is None:
        return
    named = [one for one in reply["suspects"] if one["named"]]
    say(
        f"Build {reply['build']}: {reply['read']:,} of {reply['places']:,} places were read, {reply['keys']:,} keys scored."
    )
    if named:
        _show_named(named, "score")
    else:
        say("No key agrees with it more than chance explains.")


def _show_named(named: list[dict[str, Any]], score: str) -> None:
    show_table(
        ["key", score, "chance of an error"],
        [[one["user_key"] or one["user_id"], f"{one['score']:.1f}", f"{one['chance']:.1g}"] for one in named],
    )
