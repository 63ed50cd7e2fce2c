"""Where a client's frames end, however the network cuts them up."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from moonlatch.web.frames import FrameEnds

PAYLOADS = st.sampled_from([0, 1, 6, 125, 126, 127, 300, 70_000])
CONTROL = st.tuples(st.just(True), st.just(True), st.sampled_from([0, 5, 125]))
FRAMES = st.lists(st.one_of(CONTROL, st.tuples(st.just(False), st.booleans(), PAYLOADS)), max_size=6)


def encoded(is_control: bool, is_last: bool, length: int) -> bytes:
    first = (0x80 if is_last else 0) | (9 if is_control else 1)
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 2**16:
        size = b"\xfe" + length.to_bytes(2)
    else:
        size = b"\xff" + length.to_bytes(8)
    return bytes([first]) + size + os.urandom(4 + length)


@given(FRAMES, st.lists(st.integers(min_value=1, max_value=80_000), max_size=40))
def test_the_end_of_a_message_is_known_at_every_cut(frames: list[tuple[bool, bool, int]], cuts: list[int]) -> None:
    stream, ends, is_open = b"", {0}, False
    for is_control, is_last, length in frames:
        stream += encoded(is_control, is_last, length)
        if not is_control:
            is_open = not is_last
        if not is_open:
            ends.add(len(stream))
    following, read = FrameEnds(), 0
    for cut in (*cuts, len(stream)):
        following.follow(stream[read : read + cut])
        read = min(len(stream), read + cut)
        assert following.are_between_messages() is (read in ends)
