"""How commands call a server over its HTTP API, as any other client would, and tell what it answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from moonlatch.cli.output import CommandError, own_command, write_json

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0  # the server answers within 100 s

DEFAULT_URL = "http://127.0.0.1:8400"
Url = Annotated[str, typer.Option(envvar="MOONLATCH_URL", metavar="URL", help="Address of the server.")]
Token = Annotated[
    str,
    typer.Option(
        envvar="MOONLATCH_TOKEN",
        metavar="TOKEN",
        help="API token; better given by the variable.",
        show_default=False,
    ),
]
ScriptId = Annotated[str, typer.Option("--script", metavar="ID", help="Id of the script.", show_default=False)]
BuildNumber = Annotated[
    int, typer.Option("--build", metavar="NUMBER", min=1, help="Number of the build.", show_default=False)
]
Envelope = dict[str, Any]

_OF_OWN_IDS = {404: "Are the ids right, and does the script belong to the token's account?"}


def address(url: str, *parts: str | int) -> str:
    """The address of a resource of a server; parts are put in as they are, whatever is in them."""
    return "/".join([url.rstrip("/"), *(quote(str(part), safe="") for part in parts)])


def is_done(status: int, reply: Envelope, what: str, *, as_json: bool) -> bool:
    """Return whether there is something to say of a success; `what` says what was not done.

    Raises CommandError, or typer.Exit where JSON was asked for, which is printed.
    """
    is_success = reply.get("success") is True
    if as_json:
        write_json(reply)
        if not is_success:
            raise typer.Exit(1)
        return False
    if not is_success:
        raise refusal(what, status, reply.get("error") or {}, hint=_OF_OWN_IDS.get(status, ""))
    return True


def require_token(token: str) -> None:
    """Raises CommandError."""
    if not token:
        raise CommandError("no API token", "Set the variable MOONLATCH_TOKEN to it.")


def posted(url: str, token: str, body: Any) -> tuple[int, Envelope]:
    """Status and JSON of the answer to a small body. Raises CommandError when the server cannot be reached or is none of ours."""
    import httpx

    with reaching(url):
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        answer = httpx.post(url, json=body, headers={"token": token}, timeout=timeout)
    return answer.status_code, envelope(answer)


def got(url: str, token: str) -> tuple[int, Envelope]:
    """Status and JSON of what is there. Raises CommandError when the server cannot be reached or is none of ours."""
    import httpx

    with reaching(url):
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        answer = httpx.get(url, headers={"token": token}, timeout=timeout)
    return answer.status_code, envelope(answer)


def asked(url: str, path: str, token: str, hints: Mapping[int, str] = {}) -> Envelope:
    """The reply to a GET at a server's address, by whoever has the token. `hints` may help, by status. Raises CommandError."""
    require_token(token)
    return _succeeded(*got(url.rstrip("/") + path, token), hints)


def changed(url: str, path: str, token: str, body: Any, hints: Mapping[int, str] = {}) -> Envelope:
    """As `asked`, of a POST."""
    require_token(token)
    return _succeeded(*posted(url.rstrip("/") + path, token, body), hints)


def _succeeded(status: int, reply: Envelope, hints: Mapping[int, str]) -> Envelope:
    if reply.get("success") is not True:
        raise refusal("nothing was done", status, reply.get("error") or {}, hint=hints.get(status, ""))
    return reply


@contextlib.contextmanager
def reaching(url: str) -> Iterator[None]:
    """Around a call of that address. Raises CommandError for whatever keeps it from being answered."""
    import httpx

    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise CommandError(f"{url} is not an address: {error}", "Write it like http://127.0.0.1:8400.") from None
    except httpx.ConnectError as error:
        raise CommandError(f"{url} cannot be reached: {error}", "Is the server running, and is --url right?") from None
    except httpx.TimeoutException:
        raise CommandError(f"{url} gave no answer in time", "It may still be working; try again later.") from None
    except (httpx.HTTPError, UnicodeEncodeError) as error:
        raise CommandError(f"the call of {url} failed: {error}") from None


def envelope(answer: httpx.Response) -> Envelope:
    """The reply's JSON. Raises CommandError where it is not Moonlatch that answered."""
    try:
        reply = answer.json()
    except ValueError:
        reply = None
    if isinstance(reply, dict) and "success" in reply:
        return reply
    hint = "Is --url the address of a Moonlatch server?"
    if answer.is_redirect:
        hint = f"It sends callers to {answer.headers.get('location')}; use that address."
    raise CommandError(f"{answer.url} answered {answer.status_code}, but not as Moonlatch does", hint)


def refusal(what: str, status: int, error: Envelope, *, details: Sequence[str] = (), hint: str = "") -> CommandError:
    """What the server's error object says, for people; `what` says what was not done, `hint` what may help for this status."""
    lines = [*details, *(_failed_line(one) for one in error.get("failed", []))]
    if status == HTTPStatus.UNAUTHORIZED:
        hint = f"Is the token right? `{own_command('tokens', 'create', 'ACCOUNT')}` makes a new one, beside the server's data folder."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        hint = f"Try again in {error.get('retry_after', 'a few')} seconds."
    message = str(error.get("message", f"the server answered {status}"))
    return CommandError("\n  ".join([f"{what}: {message}", *lines]), hint)


def _failed_line(failed: str | Envelope) -> str:
    return failed if isinstance(failed, str) else f"{failed.get('field')}: {', '.join(failed.get('errors', []))}"
