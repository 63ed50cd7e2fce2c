"""`la_webhook` and `la_call`, with nothing replaced: a real server process, the real loader in real Luau and Lua, and a real receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from moonlatch.licensing.remotes import MAX_DATA_BYTES
from support.developer import Developer, eventually
from support.lua_host import LoaderRun
from support.server import MoonlatchServer

ENGINES = ("luau", "lua51", "luajit")

SCRIPT = """
local function show(...)
  print("said", ...)
end
show("sent", la_webhook("drops", { player = 'a "b" \\\\ {{la_user_id}}', item = { name = "snow \\226\\152\\131" }, n = 1.5 }))
show("known", LRM_SEND_WEBHOOK("drops", { player = "x" }))
local answer, problem, code = la_call("price", { item = "sword", list = { 1, 2 } })
show("price", answer.price, answer.names[2], problem, code)
show("nothing", la_call("nothing"))
show("none", la_call("none", 1))
show("huge", la_call("huge"))
show("redirect", la_call("redirect"))
show("dead", la_call("dead"))
show("deep", la_call("price", { f = print }))
local nested = {}
for _ = 2, 100 do
  nested = { nested }
end
show("at the depth of JSON", la_call("price", nested))
show("beyond the server's bound", la_call("price", ("x"):rep(MOST - 1)))
show("beyond a request's bound", la_webhook("drops", ("x"):rep(100000)))
show("at a frame's bound", la_webhook("drops", { ("x"):rep(262100) }))
show("at the bound", la_call("price", ("x"):rep(MOST - 2)).price)
print(select(2, pcall(function() la_call("not a name") end)))
print(select(2, pcall(function() la_webhook("https" .. "://discord.com/x", {}) end)))
print("done")
""".replace("MOST", str(MAX_DATA_BYTES))


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, dict(self.headers.items()), body))  # type: ignore[attr-defined]
        answers = {
            "/price": (200, json.dumps({"price": 9, "names": ["a", "ä"]}).encode()),
            "/huge": (200, b'"' + b"x" * 1_000_000 + b'"'),
            "/redirect": (302, b""),
        }
        status, content = answers.get(self.path, (200, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/price")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def there() -> Iterator[Any]:
    """A receiver with what it received: path, headers, body."""
    running: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.received = []
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(scope="module")
def reaching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MoonlatchServer, Developer]]:
    """A server that may call receivers of this machine, and a developer of it."""
    folder: Path = tmp_path_factory.mktemp("reaching")
    server = MoonlatchServer(folder / "data", {"MOONLATCH_WEBHOOKS__ALLOW_NETWORKS": "127.0.0.0/8"})
    token = server.new_account("calls")
    with server, Developer(server.url, token) as developer:
        yield server, developer


def put(developer: Developer, project: str, there: Any, name: str, kind: str = "function", **fields: Any) -> str:
    """A remote of that name; gives the secret of its endpoint."""
    url = "http://127.0.0.1:1/" if name == "dead" else f"http://127.0.0.1:{there.server_port}/{name}"
    made = developer.post(f"/projects/{project}/endpoints", url=url, events=[])
    developer.post(f"/projects/{project}/remotes", name=name, kind=kind, endpoint_id=made["endpoint"]["id"], **fields)
    return str(made["secret"])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_posts_and_asks_through_the_server(
    reaching: tuple[MoonlatchServer, Developer], there: Any, engine: str
) -> None:
    server, developer = reaching
    project = developer.new_project()
    script, key = developer.new_script(project, SCRIPT), developer.new_key(project)
    template = {"text": "{{player}} found {{item.name}}", "n": "{{n}}", "script": "{{la_script_name}}"}
    put(developer, project, there, "drops", "webhook", template=template)
    secrets = {name: put(developer, project, there, name) for name in ("price", "nothing", "huge", "redirect", "dead")}
    with LoaderRun(f"{server.url}/loader/{script}", engine=engine, key=key) as running:
        running.wait_line("done")
        said = {line.split("\t")[1]: line.split("\t")[2:] for line in running.lines if line.startswith("said\t")}
        errors = [line for line in running.lines if "needs the name" in line]
    assert said.pop("sent") == said.pop("known") == ["true"]
    assert said.pop("price") == ["9", "ä", "nil", "nil"]
    assert said.pop("nothing") == ["nil"]
    assert said.pop("at the bound") == ["9"]
    assert {name: (each[0], each[-1]) for name, each in said.items()} == {
        "none": ("nil", "NOT_FOUND"),
        "huge": ("nil", "INVALID_ANSWER"),
        "redirect": ("nil", "FAILED"),
        "dead": ("nil", "FAILED"),
        "deep": ("nil", "INVALID_DATA"),
        "at the depth of JSON": ("nil", "INVALID_DATA"),
        "beyond the server's bound": ("nil", "INVALID_DATA"),
        "beyond a request's bound": ("nil", "INVALID_DATA"),
        "at a frame's bound": ("nil", "INVALID_DATA"),
    }
    assert len(errors) == 2
    eventually(lambda: len([path for path, _, _ in there.received if path == "/drops"]) == 2, 60)
    posted = [json.loads(body) for path, _, body in there.received if path == "/drops"]
    assert {"text": 'a "b" \\ {{la_user_id}} found snow \u2603', "n": 1.5, "script": "Script"} in posted
    assert {"text": "x found ", "n": None, "script": "Script"} in posted
    (headers, body), (_, at_the_bound) = [(headers, body) for path, headers, body in there.received if path == "/price"]
    assert len(json.loads(at_the_bound)["data"]["data"]) == MAX_DATA_BYTES - 2
    asked = Webhook(secrets["price"]).verify(body, headers)
    assert asked["data"]["data"] == {"item": "sword", "list": [1, 2]}
    assert asked["data"]["verdict"] == {"premium": True, "key_expires": None}
