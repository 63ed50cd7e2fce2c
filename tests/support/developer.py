"""A script developer: calls the management API over real HTTP, as a bot or dashboard would."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self

import httpx


class Developer:
    """One API token. Calls give the reply's JSON and raise AssertionError when it is not a success."""

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"token": token}, timeout=100)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return _successful(self.http.get(path, params=query))

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return _successful(self.http.post(path, json=body))

    def refused(self, path: str, **body: Any) -> dict[str, Any]:
        """The `error` object of a call that must fail."""
        reply = self.http.post(path, json=body).json()
        assert reply["success"] is False, reply
        error: dict[str, Any] = reply["error"]
        return error

    def new_project(self, name: str = "Project") -> str:
        return str(self.post("/projects", name=name)["project"]["id"])

    def new_script(self, project: str, source: str, name: str = "Script", **settings: Any) -> str:
        """A published script; gives its id."""
        script = str(self.post(f"/projects/{project}/scripts", name=name, **settings)["script"]["id"])
        self.post(f"/scripts/{script}/update", script=source)
        return script

    def new_key(self, project: str, **settings: Any) -> str:
        return str(self.post(f"/projects/{project}/users", **settings)["users"][0]["key"])

    def script(self, script: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/scripts/{script}")["script"]
        return found

    def sessions(self, script: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post(f"/scripts/{script}/sessions")["sessions"]
        return found


def _successful(response: httpx.Response) -> dict[str, Any]:
    reply: dict[str, Any] = response.json()
    assert response.status_code == 200, (response.status_code, reply)
    assert reply["success"] is True, reply
    return reply


def eventually(condition: Callable[[], Any], timeout_seconds: float = 10) -> Any:
    """The condition's value as soon as it is true. Raises AssertionError when it does not come to be."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"still {value!r} after {timeout_seconds} s"
        time.sleep(0.05)
