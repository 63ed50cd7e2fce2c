"""Why a WebSocket ends. Codes from 3000 to 3499 tell the client to come back; `docs/reference/client-protocol.md` lists them all."""

from __future__ import annotations

RESTARTING = (3000, "the server is restarting")
OVERLOADED = (3001, "the server cannot take the session now")
TOO_SLOW = (3002, "this client reads too slowly")
TAKEN_OVER = (3003, "another connection took this session over")
STOPPED = 3500
