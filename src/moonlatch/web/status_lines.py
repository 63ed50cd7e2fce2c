"""The first lines of HTTP's answers, for connections that write theirs themselves."""

from __future__ import annotations

from http import HTTPStatus

STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
"""By status code."""
