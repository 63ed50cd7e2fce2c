"""Frames between the server and its workers: what comes from a worker is not trusted."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.builds.job import (
    LENGTH_BYTES,
    MAX_FRAME_BYTES,
    Check,
    Done,
    Failed,
    Fault,
    Invalid,
    Job,
    WorkerAnswer,
    answer_of,
    frame,
    frame_length,
    job_of,
    past_limit,
)

ANSWERS = st.one_of(
    st.builds(Done, text=st.binary(), warnings=st.lists(st.text())),
    st.builds(Invalid, parser_output=st.text()),
    st.builds(Failed, faults=st.lists(st.builds(Fault, st.none() | st.text(), st.text()))),
)


@given(ANSWERS)
def test_an_answer_arrives_as_it_was_sent(answer: WorkerAnswer) -> None:
    sent = frame(answer)
    assert frame_length(sent[:LENGTH_BYTES]) == len(sent) - LENGTH_BYTES
    assert answer_of(sent[LENGTH_BYTES:]) == answer


@given(st.binary(), st.integers(0, 2**63 - 1))
def test_a_job_arrives_as_it_was_sent(source: bytes, seed: int) -> None:
    job = Job(source=source, profile="light", target="luau", client_chunk=True, seed=seed)
    assert job_of(frame(job)[LENGTH_BYTES:]) == job


@given(st.binary(max_size=200))
def test_what_is_no_answer_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        answer_of(body)


def test_a_length_beyond_all_bounds_is_refused() -> None:
    assert frame_length(struct.pack(">I", MAX_FRAME_BYTES)) == MAX_FRAME_BYTES
    with pytest.raises(ValueError, match="a frame of"):
        frame_length(struct.pack(">I", MAX_FRAME_BYTES + 1))


@pytest.mark.parametrize(
    ("profile", "ways"),
    [
        ("maximum", "divide the script, choose the profile 'standard' or have protector.memory_mib raised"),
        ("standard", "divide the script, choose the profile 'light' or have protector.memory_mib raised"),
        ("minify", "divide the script or have protector.memory_mib raised"),
    ],
)
def test_what_is_too_much_for_a_worker_says_what_to_do(profile: str, ways: str) -> None:
    job = Job(source=b"", profile=profile, target=None, client_chunk=True, seed=1)
    failed = past_limit(job, "too large", "protector.memory_mib")
    assert failed == Failed(faults=[Fault("script", f"too large; {ways}")])


def test_a_check_that_is_too_much_has_no_profile_to_change() -> None:
    failed = past_limit(Check(text=b""), "too large", "protector.memory_mib")
    assert failed.faults[0].message == "too large; divide the script or have protector.memory_mib raised"
