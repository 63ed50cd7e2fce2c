"""Health endpoints for the service manager and the proxy, without a token; so they tell nothing but names."""

from __future__ import annotations

from moonlatch.management.backend import CurrentBackend
from moonlatch.management.refusals import DocumentedError, refusing
from moonlatch.management.replies import Success
from moonlatch.management.routes import PUBLIC, resource_router

router = resource_router("health")

NOT_READY = DocumentedError(-1, "not ready", 503, {"reasons": ["database"]})


# Many monitors ask with HEAD, and would take a 405 for a server that is down.
@router.head("/health/live", include_in_schema=False, openapi_extra=PUBLIC)
@router.get("/health/live", summary="Is the process up?", openapi_extra=PUBLIC)
async def get_liveness() -> Success:
    """Answers as long as the process serves requests at all."""
    return Success()


@router.head("/health/ready", include_in_schema=False, openapi_extra=PUBLIC)
@router.get("/health/ready", summary="Can it serve?", responses=refusing(NOT_READY), openapi_extra=PUBLIC)
async def get_readiness(backend: CurrentBackend) -> Success:
    """Ready means that its engines answer and that it is not stopping. Answered within 2 seconds."""
    faults = await backend.readiness.faults()
    if faults:
        raise NOT_READY.error(reasons=faults)
    return Success()
