"""How much a running script may send at once, and how long it may take."""

from __future__ import annotations

MAX_BODY_BYTES = 16 * 1024
MAX_FRAME_BYTES = 256 * 1024
MAX_OPEN_BYTES = 4 * 1024
BODY_SECONDS = 10
