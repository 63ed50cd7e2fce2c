"""Which page a call comes from, and which cookie counts there."""

from __future__ import annotations

import pytest

from moonlatch.web.origin import Origins, Place, cookies_of, origin_of

PANEL = Origins("https://panel.example.com/below")


def headers(**fields: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items()]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"origin": "https://panel.example.com"}, Place.PUBLIC),
        ({"origin": "HTTPS://Panel.Example.com:443"}, Place.PUBLIC),
        ({"origin": "https://panel.example.com", "host": "127.0.0.1:8400"}, Place.PUBLIC),
        ({"origin": "http://panel.example.com"}, None),
        ({"origin": "https://panel.example.com:8443"}, None),
        ({"origin": "https://panel.example.com.evil.example"}, None),
        ({"origin": "https://evil.example", "host": "panel.example.com"}, None),
        ({"origin": "null"}, None),
        ({"origin": "https://[panel"}, None),
        ({"origin": "https://panel.example.com:99999"}, None),
        ({"host": "localhost:8400"}, None),
        ({"origin": "http://localhost:8400", "host": "localhost:8400"}, Place.LOCAL),
        ({"origin": "http://127.0.0.1:8400", "host": "127.0.0.1:8400"}, Place.LOCAL),
        ({"origin": "http://[::1]:8400", "host": "[::1]:8400"}, Place.LOCAL),
        ({"origin": "http://localhost:3000", "host": "localhost:8400"}, None),
        ({"origin": "https://localhost:8400", "host": "localhost:8400"}, None),
        ({"origin": "http://evil.example", "host": "evil.example"}, None),
        ({"origin": "http://localhost:8400", "host": "localhost:8400", "x_forwarded_for": "192.0.2.1"}, None),
        ({"origin": "http://localhost:8400", "host": "localhost:8400", "forwarded": "for=192.0.2.1"}, None),
    ],
)
def test_a_page_that_may_act_is_known_by_what_browsers_alone_say(fields: dict[str, str], place: Place | None) -> None:
    assert PANEL.place(headers(**fields)) is place


def test_in_clear_no_page_elsewhere_may_act() -> None:
    assert Origins("http://192.0.2.1:8400").place(headers(origin="http://192.0.2.1:8400")) is None
    assert Origins("http://127.0.0.1:8400").place(headers(origin="http://127.0.0.1:8400")) is Place.LOCAL


def test_a_cookie_counts_where_it_was_given() -> None:
    both = "other=x; __Host-moonlatch=one; moonlatch-local=two"
    assert cookies_of(headers(host="localhost", cookie=both)) == {Place.PUBLIC: "one", Place.LOCAL: "two"}
    assert cookies_of(headers(host="panel.example.com", cookie=both)) == {Place.PUBLIC: "one"}
    assert cookies_of(headers(host="localhost", via="1.1 proxy", cookie=both)) == {Place.PUBLIC: "one"}


@pytest.mark.parametrize(
    "cookie",
    ["", "=", ";;;", "__Host-moonlatch", "__Host-moonlatch=", f"__Host-moonlatch={'x' * 201}", "__host-moonlatch=x"],
)
def test_what_is_not_our_cookie(cookie: str) -> None:
    assert cookies_of(headers(host="localhost", cookie=cookie)) == {}


def test_of_a_cookie_that_comes_twice_the_first_counts() -> None:
    sent = [*headers(cookie="__Host-moonlatch=one"), *headers(cookie="__Host-moonlatch=two")]
    assert cookies_of(sent) == {Place.PUBLIC: "one"}


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://a.example/x?y#z", "http://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("ftp://a.example", None),
        ("a.example", None),
        ("", None),
    ],
)
def test_an_origin_has_one_spelling(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin
