"""Follows what a WebSocket's client sends as far as to know where one frame ends and the next begins. It judges nothing."""

from __future__ import annotations

_WHOLE = 0x80
_CONTROL = 0x08
_LENGTH = 0x7F
_TWO_BYTES_MORE, _EIGHT_BYTES_MORE = 126, 127
_SHORTEST_HEAD = 6


class FrameEnds:
    """Of one connection (RFC 6455 section 5.2), from the end of its handshake on. A client's frames are all masked."""

    __slots__ = ("_head", "_is_inside_message", "_payload_left")

    def __init__(self) -> None:
        self._head = b""
        """What is there of the head of a frame."""
        self._payload_left = 0
        self._is_inside_message = False

    def follow(self, data: bytes) -> None:
        """Take note of what was read."""
        data = self._head + data
        end = self._payload_left
        while len(data) - end >= _SHORTEST_HEAD:
            length, payload = data[end + 1] & _LENGTH, end + _SHORTEST_HEAD
            if length >= _TWO_BYTES_MORE:
                payload += 2 if length == _TWO_BYTES_MORE else 8
                if len(data) < payload:
                    break
                length = int.from_bytes(data[end + 2 : payload - 4])
            if not data[end] & _CONTROL:
                self._is_inside_message = not data[end] & _WHOLE
            end = payload + length
        self._head = data[end:]
        self._payload_left = max(0, end - len(data))

    def are_between_messages(self) -> bool:
        """Return whether all that was read are whole messages."""
        return not self._head and not self._payload_left and not self._is_inside_message
