"""The interactive documentation at `/docs`: Swagger UI from an installed package, so it needs no internet access."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from moonlatch.management.documents import openapi
from moonlatch.management.routes import PUBLIC, Route
from moonlatch.web.page_headers import page_headers

router = APIRouter(route_class=Route, include_in_schema=False)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Moonlatch management API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""

# Swagger UI styles its elements inline and draws its icons from data URLs; scripts only ever come from this server.
_GUARDED = page_headers(
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'none'",
)
_CACHED = {**_GUARDED, "Cache-Control": "public, max-age=86400"}


@cache
def _asset(name: str) -> bytes:
    return resources.files("fastapi_swagger.resources").joinpath(name).read_bytes()


# HEAD too, because whoever looks whether anything is there asks so. A relative address stays below a proxy's path.
@router.head("/", openapi_extra=PUBLIC)
@router.get("/", openapi_extra=PUBLIC)
async def root(request: Request) -> Response:
    # Browsers ask for pages, programs for anything.
    is_browser = "text/html" in request.headers.get("accept", "")
    return RedirectResponse("dashboard/" if is_browser else "docs", status_code=302, headers={"Vary": "Accept"})


@router.get("/openapi.json", openapi_extra=PUBLIC)
async def openapi_document(request: Request) -> Any:
    return JSONResponse(openapi(request.app), headers=_GUARDED)


@router.get("/docs", openapi_extra=PUBLIC)
async def docs() -> Response:
    return HTMLResponse(_PAGE, headers=_GUARDED)


@router.get("/docs/start.js", openapi_extra=PUBLIC)
async def start_script() -> Response:
    return Response(_START, media_type="text/javascript", headers=_CACHED)


@router.get("/docs/swagger-ui-bundle.js", openapi_extra=PUBLIC)
async def bundle() -> Response:
    return Response(_asset("swagger-ui-bundle.js"), media_type="text/javascript", headers=_CACHED)


@router.get("/docs/swagger-ui.css", openapi_extra=PUBLIC)
async def style_sheet() -> Response:
    return Response(_asset("swagger-ui.css"), media_type="text/css", headers=_CACHED)
