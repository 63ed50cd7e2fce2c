"""`moonlatch webhooks`: what the API can do, from a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.commands import Command
from support.developer import Developer
from support.server import MoonlatchServer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server's URL, and a token."""
    server = MoonlatchServer(tmp_path_factory.mktemp("webhooks") / "data")
    token = server.new_account("owner")
    with server:
        yield server.url, token


def test_an_endpoint_is_made_tested_listed_replayed_and_removed(
    moonlatch: Command, served: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, token = served
    monkeypatch.setenv("MOONLATCH_TOKEN", token)
    monkeypatch.setenv("MOONLATCH_URL", url)
    with Developer(url, token) as developer:
        project = developer.new_project()

    made = moonlatch(
        "webhooks", "create", project, "http://receiver.invalid/", "--event", "user.created", "--json"
    ).json
    endpoint = made["endpoint"]["id"]
    assert made["secret"].startswith("whsec_")
    assert made["endpoint"]["events"] == ["user.created"]
    assert made["secret"] not in moonlatch("webhooks", "list", project).out
    assert [each["id"] for each in moonlatch("webhooks", "list", project, "--json").json] == [endpoint]

    delivery = moonlatch("webhooks", "test", endpoint, "--json").json["id"]
    assert [each["id"] for each in moonlatch("webhooks", "deliveries", endpoint, "--json").json] == [delivery]
    assert "endpoint.test" in moonlatch("webhooks", "deliveries", endpoint).out
    assert moonlatch("webhooks", "replay", endpoint, "--failed-hours", "1").out == "0 deliveries are sent again.\n"
    unsaid = moonlatch("webhooks", "replay", endpoint)
    assert (unsaid.status, unsaid.err.splitlines()[0]) == (1, "error: say what to send again")

    assert moonlatch("webhooks", "enable", endpoint).status == 0
    assert moonlatch("webhooks", "remove", endpoint).status == 0
    gone = moonlatch("webhooks", "test", endpoint)
    assert gone.status == 1
    assert "endpoint not found" in gone.err


def test_a_url_that_must_not_be_called_is_told(moonlatch: Command, served: tuple[str, str]) -> None:
    url, token = served
    with Developer(url, token) as developer:
        project = developer.new_project()
    for address in ("http://127.0.0.1/", "http://[::1]/", "http://0x7f000001/"):
        options = ("--url", url, "--token", token)
        refused = moonlatch("webhooks", "create", project, address, *options)
        assert refused.status == 1
        assert "url: must lead elsewhere: the address is not on the public internet" in refused.err


def test_variables_and_remotes_are_set_listed_and_removed(
    moonlatch: Command, served: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, token = served
    monkeypatch.setenv("MOONLATCH_TOKEN", token)
    monkeypatch.setenv("MOONLATCH_URL", url)
    with Developer(url, token) as developer:
        project = developer.new_project()

    variable = moonlatch("variables", "set", "rates", '{"rare": 0.02}', "--project", project, "--json").json["id"]
    assert moonlatch("variables", "set", "word", "sesame", "--project", project).status == 0
    assert [each["name"] for each in moonlatch("variables", "list", "--project", project, "--json").json] == [
        "rates",
        "word",
    ]
    assert moonlatch("variables", "show", variable).json == {"rare": 0.02}
    assert "rates" in moonlatch("variables", "list", "--project", project).out
    assert moonlatch("variables", "remove", variable).status == 0
    assert moonlatch("variables", "show", variable).status == 1
    unsaid = moonlatch("variables", "list")
    assert (unsaid.status, unsaid.err.splitlines()[0]) == (1, "error: say whose it is")

    made = moonlatch("webhooks", "create", project, "http://receiver.invalid/", "--for-scripts", "--json").json
    endpoint = made["endpoint"]["id"]
    assert made["endpoint"]["events"] == []
    both = moonlatch(
        "webhooks", "create", project, "http://receiver.invalid/", "--for-scripts", "--event", "user.created"
    )
    assert (both.status, both.err.splitlines()[0]) == (1, "error: --for-scripts is without events")
    wanted = ("remotes", "set", "drops", "--project", project, "--endpoint", endpoint)
    remote = moonlatch(*wanted, "--template", '{"content": "{{player}} won"}', "--json").json
    assert (remote["kind"], remote["template"]) == ("webhook", {"content": "{{player}} won"})
    assert moonlatch(*wanted, "--template", "{").err.splitlines()[0] == "error: the template is not JSON"
    assert (
        moonlatch("remotes", "set", "price", "--kind", "function", "--project", project, "--endpoint", endpoint).status
        == 0
    )
    assert "function" in moonlatch("remotes", "list", "--project", project).out
    assert moonlatch("remotes", "remove", remote["id"]).status == 0
    assert [each["name"] for each in moonlatch("remotes", "list", "--project", project, "--json").json] == ["price"]
