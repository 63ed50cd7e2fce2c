"""The example for nginx, run by the real nginx in front of the real server: everything passes, and only what should."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

from moonlatch.management.application import ROUTERS
from moonlatch.master_key import MasterKeySource
from support.client import Client
from support.developer import Developer, eventually
from support.server import MoonlatchServer, free_port, status_at

KEY = "CustomersKey4711"
EXAMPLE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
# Debian puts it where only root's PATH leads.
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")


@pytest.fixture
def stopped_server(tmp_path: Path) -> MoonlatchServer:
    return MoonlatchServer(tmp_path / "data", {"MOONLATCH_TRUSTED_PROXIES": "127.0.0.1"})


@pytest.fixture
def token(stopped_server: MoonlatchServer) -> str:
    return stopped_server.new_account("nginx")


@pytest.fixture
def server(stopped_server: MoonlatchServer, token: str) -> Iterator[MoonlatchServer]:
    with stopped_server as running:
        yield running


@pytest.fixture
def proxy(server: MoonlatchServer, tmp_path: Path) -> Iterator[str]:
    """nginx with the example's configuration, but for its port, its certificate and where the server is; gives its URL."""
    port = free_port()
    example = re.sub(r"^\s*ssl_certificate.*$", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    assert "listen 443 ssl;" in example
    example = re.sub(r"^\s*listen \[::\].*$", "", example, flags=re.MULTILINE)
    example = example.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace("8400", str(server.port))
    example = example.replace("listen 80;", f"listen 127.0.0.1:{free_port()};").replace("/var/log/nginx", str(tmp_path))
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = tmp_path / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # or its workers could not write into the test's folder
    config.write_text(
        f"{user} daemon off; pid {tmp_path}/nginx.pid; error_log stderr; events {{}} http {{ {folders} {example} }}"
    )
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", str(config)], stderr=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            if process.poll() is not None:
                raise AssertionError(process.stderr.read() if process.stderr else "")
            if status_at(f"{url}/health/live") is not None:
                break
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


async def test_everything_passes_through_nginx(server: MoonlatchServer, token: str, proxy: str) -> None:
    with Developer(proxy, token) as developer:
        project = developer.new_project()
        script = developer.new_script(project, "print('through nginx')" + " " * 3_000_000)
        key = developer.new_key(project)
        assert httpx.get(f"{proxy}/loader/{script}").status_code == 200

        with contextlib.closing(sqlite3.connect(server.data / "moonlatch.db")) as connection:
            (loader,) = connection.execute("select loader from scripts where id = ?", [script]).fetchone()
        async with httpx.AsyncClient(timeout=60) as http:
            secret = MasterKeySource(server.data).open().loader_secret(loader)
            copy = await Client(proxy, script, loader, secret, http).execute(key=key)
            assert await copy.beat() is None
            wire = await copy.session()
            assert [one["id"] for one in developer.sessions(script)] == [wire.id]
            developer.post(f"/users/{key}/blacklist")
            assert await wire.stopped() == "BLACKLISTED"


def test_clients_have_their_own_addresses_and_operators_pages_stay_inside(
    server: MoonlatchServer, token: str, proxy: str
) -> None:
    for path in ("/metrics", "/health/ready"):
        assert httpx.get(f"{proxy}{path}").status_code == 404
        assert httpx.get(f"{server.url}{path}").status_code == 200
    with Developer(server.url, token) as developer:
        bound = developer.post("/account/tokens", name="elsewhere", ip_allow=["203.0.113.9"])["secret"]
    # A client with an address of its own, which nginx adds behind what the client claims.
    with httpx.Client(base_url=proxy, transport=httpx.HTTPTransport(local_address="127.0.0.2")) as elsewhere:
        headers = {"token": bound, "X-Forwarded-For": "203.0.113.9"}
        assert elsewhere.get("/account", headers=headers).status_code == 403
        assert elsewhere.get("/account", headers={"token": token}).status_code == 200


def test_no_log_of_nginx_holds_a_customers_key(server: MoonlatchServer, token: str, proxy: str, tmp_path: Path) -> None:
    paths = [route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    about_customers = [path.replace("{key}", KEY) for path in paths if "{key}" in path]
    assert len(about_customers) > 3
    spellings = [*about_customers, f"//users//{KEY}", f"/%75sers/{KEY}", f"/users/{KEY}?x={KEY}", f"/x/../users/{KEY}"]
    queries = [f"/scripts/S/sessions/filter?key={KEY}", f"/projects/P/users?key={KEY}"]
    with httpx.Client(headers={"token": token, "Referer": f"{proxy}/users/{KEY}"}) as http:
        for path in [*spellings, *queries]:
            http.get(proxy + path)
        server.kill()
        assert http.get(f"{proxy}/users/{KEY}").status_code == 502
    access_log = tmp_path / "moonlatch-access.log"
    eventually(lambda: '"GET /users/-" 502' in access_log.read_text(), 30)  # a line is written after its answer
    logged = access_log.read_text() + (tmp_path / "moonlatch-error.log").read_text()
    assert logged.count("GET /users/-") >= len(spellings)
    assert '"GET /scripts/S/sessions/filter" 404' in logged
    assert [line for line in logged.splitlines() if KEY in line or token in line] == []


def test_plain_http_leads_to_the_name_of_the_site(proxy: str, tmp_path: Path) -> None:
    (port,) = set(re.findall(r"listen 127\.0\.0\.1:(\d+);", (tmp_path / "nginx.conf").read_text())) - {
        proxy.rpartition(":")[2]
    }
    answer = httpx.post(f"http://127.0.0.1:{port}/users/{KEY}/edit?x=1", headers={"Host": "elsewhere.example"})
    assert (answer.status_code, answer.headers["location"]) == (
        308,
        f"https://scripts.example.com/users/{KEY}/edit?x=1",
    )
