"""The dashboard's files as HTTP gives them: found, compressed, kept, guarded, and said to be missing where nothing was built."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest

from moonlatch.dashboard.assets import built_assets
from moonlatch.licensing import verdict
from moonlatch.operations.kinds import EventKind
from support.server import MoonlatchServer

REFUSAL_CODES = sorted(
    {found.code for found in vars(verdict).values() if isinstance(found, verdict.Refusal)} | {"BLACKLISTED"}
)
NEVER_NOTED = {"INSTANCE_UNKNOWN"}
"""No key is refused with it: it is said where none is known."""


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
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


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
    """Kilobytes of gzip: what the frame takes before it shows, the first page with its chart, any other page, and the editor."""
    assets = built_assets()
    sizes = {name: len(asset.encoded["gzip"]) for name, asset in assets.items() if asset.encoded}
    shell = set(re.findall(r'(?:src|href)="(assets/[^"]+\.js)"', html))
    assert sum(sizes[name] for name in shell) <= 20 * 1024
    (style, visitors_style) = sorted(name for name in sizes if name.endswith(".css"))
    assert style in html
    assert sizes[style] <= 6 * 1024
    assert sizes[visitors_style] <= 3 * 1024
    (editor,) = (name for name in sizes if name.startswith("assets/editor-"))
    assert sizes[editor] <= 130 * 1024

    def needed(name: str) -> set[str]:
        """The file and whatever it cannot do without."""
        imports = re.findall(r'(?:from|import)"\./([^"]+\.js)"', assets[name].body.decode())
        return {name}.union(*(needed(f"assets/{other}") for other in imports))

    pages = {name: needed(name) | shell for name in sizes if name.endswith(".js") and name != editor}
    assert len(pages) > 15
    (chart,) = (
        name for name, asset in assets.items() if name.endswith(".js") and b"Why customers were refused" in asset.body
    )
    assert sum(sizes[each] for each in pages[chart]) <= 50 * 1024
    heavy = {
        name: size for name, all_of_it in pages.items() if (size := sum(sizes[each] for each in all_of_it)) > 40 * 1024
    }
    assert heavy == {}


@pytest.mark.parametrize(
    ("file", "names"),
    [("events", list(EventKind)), ("refusals", [code for code in REFUSAL_CODES if code not in NEVER_NOTED])],
)
def test_the_page_has_words_for_whatever_the_server_names(file: str, names: list[str]) -> None:
    words = (Path(__file__).parents[2] / f"src/moonlatch/dashboard/page/text/en/{file}.ts").read_text("utf-8")
    assert [name for name in names if not re.search(rf'^\s+"?{re.escape(name)}"?: ', words, re.MULTILINE)] == []
