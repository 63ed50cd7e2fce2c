"""Addresses of this machine in spellings that are to look like something else, and what is no address."""

from __future__ import annotations

TRICKS = (
    # this machine, spelled in every way that a resolver takes
    "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://LOCALHOST:{port}/", "http://localhost.:{port}/",
    "http://127.0.0.1.:{port}/", "http://127.1:{port}/", "http://127.0.1:{port}/", "http://2130706433:{port}/",
    "http://0x7f000001:{port}/", "http://0X7F000001:{port}/", "http://0x7f.0.0.1:{port}/", "http://0x7f.1:{port}/",
    "http://017700000001:{port}/", "http://0177.0.0.1:{port}/", "http://0177.1:{port}/", "http://127.0.0.0x1:{port}/",
    "http://127.000.000.001:{port}/", "http://0:{port}/", "http://0.0.0.0:{port}/", "http://127.255.255.254:{port}/",
    "http://[::1]:{port}/", "http://[0:0:0:0:0:0:0:1]:{port}/", "http://[::]:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/", "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/", "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/", "http://[64:ff9b:1::7f00:1]:{port}/", "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/", "http://[fe80::1]:{port}/", "http://[fec0::1]:{port}/", "http://[fd00::1]:{port}/",
    "http://[ff02::1]:{port}/", "https://127.0.0.1:{port}/", "http://[::ffff:0:127.0.0.1]:{port}/",
    # a URL that two readers take for two hosts
    "http://example.com@127.0.0.1:{port}/", "http://127.0.0.1:{port}@example.com/", "http://user:pw@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/", "http://example.com\\@127.0.0.1:{port}/", "http:\\\\127.0.0.1:{port}\\",
    "http:///127.0.0.1:{port}/", "http:127.0.0.1:{port}/", "//127.0.0.1:{port}/", "http://127.0.0.1:{port}#@example.com/",
    "http://example.com#@127.0.0.1:{port}/", "http://127.0.0.1:{port} /", " http://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/", "http://127.0.0.1:{port}/\r\nX: y", "http://127.0.0.1\r\n:{port}/", "http://127.0.0.1\0:{port}/",
    "http://127.0.0.1%2f:{port}/", "http://%31%32%37.0.0.1:{port}/", "http://[::1%lo]:{port}/", "http://[::1%25lo]:{port}/",
    "http://[127.0.0.1]:{port}/", "http://[localhost]:{port}/", "http://127.0.0.1::{port}/", "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:+{port}/", "http://127.0.0.1:0x50/", "http://127.0.0.1:99999/", "http://127.0.0.1:0/",
    # letters and digits that are turned into others
    "http://①②⑦.⓪.⓪.①:{port}/", "http://１２７.0.0.1:{port}/", "http://127。0。0。1:{port}/", "http://lo\u00adcalhost:{port}/",
    "http://ⓛocalhost:{port}/", "http://١٢٧.0.0.1:{port}/", "http://127.0.0.1:８０/",
    # no HTTP at all
    "file:///etc/passwd", "gopher://127.0.0.1:{port}/_x", "ftp://127.0.0.1:{port}/", "unix:///run/x", "dict://127.0.0.1:{port}/",
    "http+unix://%2frun%2fx", "javascript:alert(1)", "data:text/plain,x", "", "http://", "http://:{port}/", "http://.:{port}/",
)  # fmt: skip
"""`{port}` is where somebody listens."""
