"""A server whose dashboard was never built. Apart from the browser's tests, because a browser holds the event loop."""

from __future__ import annotations

from pathlib import Path

import httpx

from moonlatch.dashboard.assets import built_assets
from moonlatch.dashboard.face import Dashboard


async def test_a_server_without_a_built_page_says_how_to_build_it() -> None:
    transport = httpx.ASGITransport(app=Dashboard({}))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as http:
        answer = await http.get("/dashboard/")
    assert answer.status_code == 503
    assert "make dashboard" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_a_folder_without_a_page_is_nothing_built(tmp_path: Path) -> None:
    assert built_assets(tmp_path) == {}
    (tmp_path / "other.js").write_text("1")
    assert built_assets(tmp_path) == {}
