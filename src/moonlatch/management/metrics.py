"""`GET /metrics`: what the program counts, for a Prometheus server. Who may read it is decided in `auth`."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from moonlatch.management.auth import metrics_reader
from moonlatch.management.backend import CurrentBackend
from moonlatch.management.gate import METRICS_PATH
from moonlatch.management.routes import PUBLIC, Route
from moonlatch.metrics.exposition import CONTENT_TYPE

# No part of the API's document: the format is Prometheus's, and its names are in docs/reference/metrics.md.
router = APIRouter(route_class=Route, include_in_schema=False)


@router.get(METRICS_PATH, dependencies=[Depends(metrics_reader)], openapi_extra=PUBLIC)
async def metrics(backend: CurrentBackend) -> Response:
    return Response(backend.exposition.page(), headers={"content-type": CONTENT_TYPE})
