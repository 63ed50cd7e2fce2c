"""The example for Caddy, run by the real Caddy: it is valid, and what it logs of a request is nobody's secret."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.server import free_port, status_at

EXAMPLE = Path(__file__).parents[2] / "deploy" / "Caddyfile"
CADDY = shutil.which("caddy")
SECRETS = ("ml_SecretToken", "CustomersKey4711", "KeyInAQuery")

pytestmark = pytest.mark.skipif(CADDY is None, reason="needs caddy")


def version() -> tuple[int, ...]:
    assert CADDY is not None
    shown = subprocess.run([CADDY, "version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", shown)[:2])


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Caddy on a port of this machine, with nobody behind it; gives its URL and what it logs."""
    example = EXAMPLE.read_text().replace("moonlatch-1:8400 moonlatch-2:8400", "127.0.0.1:9")
    assert "127.0.0.1:9" in example
    example = example.replace("lb_try_duration 10s", "lb_try_duration 0s").replace(
        "{\n\tlog", "{\n\tadmin off\n\tlog", 1
    )
    if version() < (2, 7):  # Debian 12's does not know it
        example = example.replace("stream_close_delay 30s", "")
    file, output = tmp_path / "Caddyfile", tmp_path / "log"
    file.write_text(example)
    url = f"http://127.0.0.1:{free_port()}"
    surroundings = {**os.environ, "DOMAIN": url, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    assert CADDY is not None
    with output.open("wb") as writing:
        command = [CADDY, "run", "--adapter", "caddyfile", "--config", file]
        process = subprocess.Popen(command, env=surroundings, stdout=writing, stderr=writing)
    try:
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and process.poll() is None and status_at(url) is None:
            time.sleep(0.05)
        yield url, output
    finally:
        process.terminate()
        process.wait(20)


def test_what_caddy_writes_of_a_request_that_failed_holds_no_token_and_no_key(log: tuple[str, Path]) -> None:
    url, output = log
    token, key, query = SECRETS
    for path in (f"/users/{key}/edit?key={query}", f"//users//{key}", f"/%75sers/{key}", f"/scripts/x?key={query}"):
        answer = httpx.get(url + path, headers={"token": token, "Authorization": f"Bearer {token}"}, timeout=30)
        assert answer.status_code in (502, 503)
    written = output.read_text()
    assert written.count('"uri":"/users"') >= 1
    assert [secret for secret in SECRETS if secret in written] == []
