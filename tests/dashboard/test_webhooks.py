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
