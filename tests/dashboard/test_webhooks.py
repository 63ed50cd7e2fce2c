"""Webhooks in the page: added, tested against a real receiver, and said to fail where somebody looks first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from support.browser import Visit
from support.shop import Shop


@dataclass
class Receiver:
    """Answers every delivery with `status`, and keeps the signatures."""

    url: str = ""
    status: int = 204
    signatures: list[str] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            received.signatures.append(self.headers["webhook-signature"])
            self.send_response(received.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    received.url = f"http://127.0.0.1:{server.server_port}/hooks"
    yield received
    server.shutdown()
    server.server_close()


def test_a_webhook_is_added_tested_said_to_fail_and_removed(seller: Visit, shop: Shop, receiver: Receiver) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/webhooks")
    page.get_by_role("button", name="Add webhook").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Address").fill("ftp://example.com")
    box.get_by_role("button", name="Add webhook").click()
    expect(box.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    box.get_by_label("Address").fill(receiver.url)
    box.get_by_label("Name").fill("My server")
    box.get_by_label("Only these").check()
    box.get_by_label("Key blacklisted").check()
    box.get_by_role("button", name="Add webhook").click()
    expect(box.get_by_role("group", name="Its secret")).to_contain_text("whsec_")
    box.get_by_role("button", name="Done").click()
    page.get_by_role("link", name="My server").click()
    page.get_by_role("button", name="Send a test").click()
    row = page.get_by_role("row").filter(has_text="Test")
    expect(row).to_contain_text("delivered")
    assert receiver.signatures[0].startswith("v1,")
    receiver.status = 500
    page.get_by_role("button", name="Send a test").click()
    expect(row).to_have_count(2)
    expect(page.get_by_text("Nothing has arrived since")).to_be_visible()
    row.first.get_by_role("button", name="Test").click()
    expect(box).to_contain_text("500 after")
    page.keyboard.press("Escape")
    seller.go(f"/projects/{shop.project}/overview")
    expect(page.get_by_text("A webhook is failing")).to_be_visible()
    page.get_by_role("link", name="My server").first.click()
    page.get_by_role("main").get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Remove webhook").click()
    box.get_by_label("Type My server to confirm").fill("My server")
    box.get_by_role("button", name="Remove webhook").click()
    expect(page.get_by_text("No webhooks yet")).to_be_visible()


def test_variables_and_remotes_are_set_changed_and_removed(seller: Visit, shop: Shop, receiver: Receiver) -> None:
    page = seller.page
    seller.go(f"/projects/{shop.project}/server")
    expect(page.get_by_role("button", name="Set a webhook or function")).to_be_disabled()
    page.get_by_role("button", name="Set a variable").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name").fill("a b")
    box.get_by_label("Value").fill('{"rare": 0.02}')
    box.get_by_role("button", name="Save").click()
    expect(box.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    box.get_by_label("Name").fill("rates")
    box.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="rates")
    expect(row).to_contain_text("13 B")
    row.get_by_role("button", name="Change rates").click()
    expect(box.get_by_label("Value")).to_have_value('{\n  "rare": 0.02\n}')
    box.get_by_label("Value").fill("plain words")
    box.get_by_role("button", name="Save").click()
    row.get_by_role("button", name="Change rates").click()
    expect(box.get_by_label("Value")).to_have_value('"plain words"')
    page.keyboard.press("Escape")
    page.get_by_label("Whose").select_option(shop.script)
    expect(page.get_by_text("No variables yet")).to_be_visible()
    page.get_by_label("Whose").select_option("")
    row.get_by_role("button", name="Remove rates").click()
    box.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No variables yet")).to_be_visible()

    endpoint = shop.developer.post(f"/projects/{shop.project}/endpoints", url=receiver.url, name="Mine", events=[])
    seller.go(f"/projects/{shop.project}/webhooks")
    seller.go(f"/projects/{shop.project}/server")
    page.get_by_role("button", name="Set a webhook or function").click()
    box.get_by_label("Name").fill("drops")
    box.get_by_label("Template of the body").fill("{")
    box.get_by_role("button", name="Save").click()
    expect(box.get_by_text("must be JSON")).to_be_visible()
    box.get_by_label("Template of the body").fill('{"text": "{{player}} won"}')
    box.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="drops")
    expect(row).to_contain_text("Mine")
    row.get_by_role("button", name="Change drops").click()
    expect(box.get_by_label("Template of the body")).to_have_value('{\n  "text": "{{player}} won"\n}')
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Remove drops").click()
    box.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No server webhooks and functions yet")).to_be_visible()
    shop.developer.post(f"/endpoints/{endpoint['endpoint']['id']}/remove")
