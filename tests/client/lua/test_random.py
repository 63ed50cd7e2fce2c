"""The loader's nonces, in every Lua it runs on."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from moonlatch.clock import now_ms
from support.lua_host import ENGINES
from support.lua_host.answers import evaluate

MOMENTS = (resources.files("moonlatch.client") / "lua" / "moments.lua").read_text("ascii")


def nonce_where(prepared: str) -> str:
    """The first nonce of a loader that finds its host like that."""
    return f"(function() {prepared} local moments = (function() {MOMENTS} end)() return random.nonce(moments.next()) end)()"


def nonce_at(time: str) -> str:
    return nonce_where(f"DateTime = {{now = function() return {{UnixTimestampMillis = {time}}} end}}")


TIMES = {"1732450000123": 1_732_450_000_123, "0": 0, "2^44 - 1": 2**44 - 1, "1732450000123.75": 1_732_450_000_123}
NO_TIMES = ["2^44", "-1", "0/0", "1/0", "-1/0", "{}", '"soon"']


@pytest.fixture(scope="module", params=list(ENGINES))
def nonces(request: pytest.FixtureRequest) -> dict[str, str]:
    expressions = {f"host {number}": "random.nonce(moments.next())" for number in range(3)}
    expressions |= {f"at {time}": nonce_at(time) for time in (*TIMES, *NO_TIMES)}
    expressions["broken"] = nonce_where('DateTime = {now = function() error("no") end}')
    expressions["timeless"] = nonce_where('DateTime, os = nil, {time = function() return "soon" end}')
    answers = evaluate(expressions, modules="moments", engine=request.param)
    return {name: answer.decode() if isinstance(answer, bytes) else answer for name, answer in answers.items()}


def test_every_nonce_is_one_and_none_comes_twice(nonces: dict[str, str]) -> None:
    assert [name for name, nonce in nonces.items() if not re.fullmatch("[0-9a-f]{64}", nonce)] == []
    assert len({nonce[11:] for nonce in nonces.values()}) == len(nonces)


def test_a_nonce_begins_with_the_time(nonces: dict[str, str]) -> None:
    for name in ("host 0", "broken", *(f"at {time}" for time in NO_TIMES)):
        assert abs(int(nonces[name][:11], 16) - now_ms()) < 600_000
    assert {time: int(nonces[f"at {time}"][:11], 16) for time in TIMES} == TIMES


def test_a_host_without_a_time_that_is_one_gets_nonces_all_the_same(nonces: dict[str, str]) -> None:
    assert nonces["timeless"][:11] == "0" * 11
