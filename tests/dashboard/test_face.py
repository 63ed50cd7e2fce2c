"""The dashboard's files as HTTP gives them: found, compressed, kept, guarded, and said to be missing where nothing was built."""

from __future__ import annotations

import gzip
import re

import httpx
import pytest

from moonlatch.dashboard.assets import built_assets
from support.server import MoonlatchServer


@pytest.fixture(scope="module")
def html(server: MoonlatchServer) -> str:
    return httpx.get(f"{server.url}/dashboard/").text


def test_a_browser_that_asks_for_the_server_is_led_to_the_dashboard_and_a_program_to_the_documentation(
    server: MoonlatchServer,
) -> None:
    browser = httpx.get(server.url, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["location"], browser.headers["vary"]) == (302, "dashboard/", "Accept")
    assert httpx.get(server.url).headers["location"] == "docs"
    without_slash = httpx.get(f"{server.url}/dashboard")
    assert (without_slash.status_code, without_slash.headers["location"]) == (308, "dashboard/")


def test_the_page_allows_itself_nothing_but_its_own_files(server: MoonlatchServer) -> None:
    answer = httpx.get(f"{server.url}/dashboard/")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert policy.pop("trusted-types") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_nothing_stands_in_the_page_itself(html: str) -> None:
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", html)
    assert not re.search(r'(?:src|href)="(?:\w+:)?//', html)


def test_files_with_a_hash_in_their_name_are_kept_for_good_and_the_page_is_asked_for_again(
    server: MoonlatchServer, html: str
) -> None:
    page = httpx.get(f"{server.url}/dashboard/")
    assert page.headers["cache-control"] == "no-cache"
    unchanged = httpx.get(f"{server.url}/dashboard/", headers={"If-None-Match": page.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    names = re.findall(r'(?:src|href)="(assets/[^"]+\.(?:js|css))"', html)
    assert len(names) >= 2
    for name in names:
        asset = httpx.get(f"{server.url}/dashboard/{name}")
        assert (asset.status_code, asset.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")


def test_what_was_compressed_beforehand_is_given_to_who_takes_it(server: MoonlatchServer, html: str) -> None:
    (script,) = re.findall(r'src="(assets/main-[^"]+\.js)"', html)
    address = f"{server.url}/dashboard/{script}"
    with httpx.Client() as http:
        plain = http.get(address, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        for accepted, encoding in (("gzip, deflate", "gzip"), ("br;q=0, gzip", "gzip"), ("gzip, br", "br")):
            with http.stream("GET", address, headers={"Accept-Encoding": accepted}) as answer:
                raw = b"".join(answer.iter_raw())
                assert answer.headers["content-encoding"] == encoding
                assert answer.headers["vary"] == "accept-encoding"
                assert len(raw) == int(answer.headers["content-length"]) < len(plain.content)
                if encoding == "gzip":
                    assert gzip.decompress(raw) == plain.content
    head = httpx.head(address)
    assert (head.status_code, head.content) == (200, b"")


def test_what_is_not_there_is_not_found_and_nothing_can_be_sent(server: MoonlatchServer) -> None:
    for path in ("assets/none.js", "assets", "../face.py", "..%2fface.py", "page.html.gz", "%00"):
        assert httpx.get(f"{server.url}/dashboard/{path}").status_code == 404, path
    sent = httpx.post(f"{server.url}/dashboard/", content=b"{}")
    assert (sent.status_code, sent.headers["allow"]) == (405, "GET, HEAD")


def test_the_licences_of_the_libraries_come_along(server: MoonlatchServer) -> None:
    text = httpx.get(f"{server.url}/dashboard/licences.txt").text
    for library in ("preact", "@preact/signals-core", "@codemirror/view", "@lezer/highlight"):
        assert re.search(rf"^{library} \d", text, re.MULTILINE), library
    assert text.count("Permission is hereby granted") >= 4


def test_the_budgets_hold(html: str) -> None:
    """Kilobytes of gzip: what the frame takes before it shows, a page with its chart, and the editor."""
    assets = built_assets()
    sizes = {name: len(asset.encoded["gzip"]) for name, asset in assets.items() if asset.encoded}
    shell = re.findall(r'(?:src|href)="(assets/[^"]+\.js)"', html)
    assert sum(sizes[name] for name in shell) <= 20 * 1024
    styles = [name for name in sizes if name.endswith(".css")]
    assert sum(sizes[name] for name in styles) <= 6 * 1024
    editor = [name for name in sizes if name.startswith("assets/editor-")]
    assert len(editor) == 1
    assert sizes[editor[0]] <= 130 * 1024
    others = sum(size for name, size in sizes.items() if name.endswith(".js") and name not in [*editor, *shell])
    assert sum(sizes[name] for name in shell) + others <= 70 * 1024, "all pages without the editor"
