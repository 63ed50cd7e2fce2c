"""The log: what a line holds in both formats, what it never holds, and how a storm is kept short."""

from __future__ import annotations

import json
import logging
import time

import pytest

from moonlatch import logs
from moonlatch.logs import SAME_LINES, SAME_LINES_SECONDS, every, fields, request_id
from moonlatch.storage.interface import StorageError
from support.log import logged

logger = logging.getLogger("moonlatch.tests")


@pytest.fixture(autouse=True)
def no_request() -> None:
    request_id.set(None)


def test_a_json_line_is_one_object_with_its_fields() -> None:
    request_id.set("the-request")
    with logged("json") as lines:
        logger.warning('said "%s"\nand more', "é", extra=fields(status=200, route="/x"))
    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "moonlatch.tests",
        "message": 'said "é"\nand more',
        "status": 200,
        "route": "/x",
        "request_id": "the-request",
    }


def test_a_text_line_ends_with_its_fields() -> None:
    request_id.set("the-request")
    with logged("text") as lines:
        logger.info("request", extra=fields(status=200, duration_ms=1.5))
    (line,) = lines()
    assert line.endswith(" INFO moonlatch.tests request status=200 duration_ms=1.5 request_id=the-request")


def test_outside_a_request_no_line_has_an_id() -> None:
    with logged("json") as lines:
        logger.info("by itself")
    assert "request_id" not in lines()[0]


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_failure_is_told_by_kind_and_place_without_what_it_quotes(style: logs.Style) -> None:
    secret = "a value that was being handled"

    def fail() -> None:
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise StorageError("the disk is full") from error

    with logged(style) as lines:
        try:
            fail()
        except StorageError:
            logger.exception("it failed")
    text = json.dumps(lines())
    assert secret not in text
    assert "KeyError" in text
    assert "StorageError: the disk is full" in text
    assert "in fail" in text


def test_a_failure_that_leads_to_itself_is_told_once() -> None:
    error = ValueError("SECRET")
    error.__cause__ = error
    assert logs.describe(error) == "ValueError"


def test_a_storm_is_ten_lines_and_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "time_ns", lambda: int(now[0] * 1e9))
    with logged("json") as lines:
        for number in range(5_000):
            logger.warning("session %d was cut", number)
            logger.info("request", extra=every(fields(number=number)))
        logger.warning("something else")
        now[0] += SAME_LINES_SECONDS
        logger.warning("session %d was cut", 5_001)
        said = [line["message"] for line in lines()]

    assert said.count("request") == 5_000
    assert [line for line in said if line != "request"] == [
        *(f"session {number} was cut" for number in range(SAME_LINES)),
        "something else",
        f"{5_000 - SAME_LINES} more lines like this were left out: session %d was cut",
        "session 5001 was cut",
    ]


def test_what_was_left_out_is_told_at_the_end_too() -> None:
    with logged("text") as lines:
        for _ in range(SAME_LINES + 3):
            logger.warning("again")
        handler = logging.getLogger().handlers[-1]
        handler.close()
        assert lines()[-1].endswith("3 more lines like this were left out: again")


def test_a_storm_of_ever_new_messages_takes_no_memory() -> None:
    with logged("text"):
        for number in range(5_000):
            logger.warning(f"message {number}")  # noqa: G004 -- what another library may do
        handler = logging.getLogger().handlers[-1]
        assert isinstance(handler, logs.BoundedHandler)
        assert len(handler._windows) <= 501
