"""Developers who ask for much at once: what others' copies notice of it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from support.wire import Target, bystander, one_answer, post, until_closed

KEYS, AT_ONCE = 2_000, 30


@pytest.fixture(scope="module")
def project(target: Target) -> str:
    """A project with so many keys, each of which left an event."""
    made = asked(target, post("/projects", {"name": "large"}, f"Token: {target.token}\r\n"))
    project: str = json.loads(made)["project"]["id"]
    for _ in range(KEYS // 1_000):
        asked(target, post(f"/projects/{project}/users", {"amount": 1_000}, f"Token: {target.token}\r\n"))
    return project


def asked(target: Target, request: bytes) -> bytes:
    with contextlib.closing(target.connect()) as peer:
        peer.sendall(request)
        status, body = one_answer(peer)
    assert status == 200, body
    return body


def get(target: Target, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nToken: {target.token}\r\nConnection: close\r\n\r\n".encode()


@contextlib.contextmanager
def asking(target: Target, requests: list[bytes]) -> Iterator[None]:
    """All of these at once; at the end all are answered."""
    answers: list[bytes] = []

    def ask(peer: socket.socket, request: bytes) -> None:
        peer.settimeout(60)
        peer.sendall(request)
        answers.append(until_closed(peer)[:15])

    with contextlib.ExitStack() as closing:
        peers = [closing.enter_context(contextlib.closing(target.connect())) for _ in requests]
        threads = [threading.Thread(target=ask, args=each) for each in zip(peers, requests, strict=True)]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join()
    assert answers == [b"HTTP/1.1 200 OK"] * len(requests)


@pytest.mark.parametrize(
    "path",
    ["/events?limit=1000", "/projects/{project}/users?limit=1000", "/events?format=ndjson"],
    ids=["pages of events", "pages of keys", "exports of all events"],
)
def test_others_notice_little_of_large_answers(target: Target, project: str, path: str) -> None:
    requests = [get(target, path.format(project=project))] * AT_ONCE
    began = time.monotonic()
    with bystander(target) as other, asking(target, requests):
        pass
    took = time.monotonic() - began
    # All of them in one turn would be as long as everything together.
    assert other.slowest < max(0.4, took / 3)


def test_a_start_waits_for_few_of_many_large_changes(target: Target, project: str) -> None:
    body = {"amount": 1_000}
    request = post(f"/projects/{project}/users", body, f"Token: {target.token}\r\nConnection: close\r\n")
    began = time.monotonic()
    slowest = 0.0
    ended = threading.Event()

    def start_again_and_again() -> None:
        nonlocal slowest
        while not ended.is_set():
            before = time.monotonic()
            target.start()
            slowest = max(slowest, time.monotonic() - before)

    starting = threading.Thread(target=start_again_and_again)
    with asking(target, [request] * 8):
        starting.start()
    took = time.monotonic() - began
    ended.set()
    starting.join()
    assert slowest < max(0.5, took / 2)
