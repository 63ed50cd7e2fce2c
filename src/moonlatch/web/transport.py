"""uvicorn's WebSocket protocol with what sessions need besides ASGI: this protocol's close codes, and an end for peers that never read.

Serve with `uvicorn.Config(..., ws=SessionTransport, ws_max_size=MAX_FRAME_BYTES)`. It knows nothing of sessions.
"""

from __future__ import annotations

from typing import Any, ClassVar

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Close, CloseCode, Frame, Opcode, apply_mask  # type: ignore[attr-defined]  # the fast one, where there is one
from websockets.http11 import Request
from websockets.protocol import State

from moonlatch.web.close_codes import RESTARTING
from moonlatch.web.connections import Place
from moonlatch.web.frames import FrameEnds
from moonlatch.web.socket import Hear
from moonlatch.web.status_lines import STATUS_LINES
from moonlatch.web.untaken import OF_THIS_PROCESS, Untaken
from moonlatch.web.waiting import Gate, Mailbox

SOCKET = "moonlatch.socket"
"""Name of the scope extension: the connection as an `outgoing.Socket`."""

INVALID_FRAME = 3502
_LINGER_SECONDS = 2.0
_SLICE_BYTES = 4096
_FRAMES_AT_ONCE = 1_500
_FRAMES_PER_SECOND = 100
_WHOLE_TEXT = 0x81
_MASKED = 0x80
_TWO_BYTES_MORE = 126
_BAD_HANDSHAKE = STATUS_LINES[400] + b"content-length: 0\r\nconnection: close\r\n\r\n"
_BAD_FRAMES = {
    CloseCode.PROTOCOL_ERROR,
    CloseCode.UNSUPPORTED_DATA,
    CloseCode.INVALID_DATA,
    CloseCode.MESSAGE_TOO_BIG,
}


class SessionTransport(WebSocketsSansIOProtocol):
    """One WebSocket connection."""

    untaken: ClassVar[Untaken] = OF_THIS_PROCESS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = Mailbox()  # type: ignore[assignment]
        self.writable = Gate()  # type: ignore[assignment]
        self._frames_left = float(_FRAMES_AT_ONCE)
        self._frames_counted_at = self.loop.time()
        self._hear: Hear | None = None
        self._frame_ends = FrameEnds()
        self.place: Place | None = None
        """The connection's place among all, given back at its end."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._hear = None
        if self.place is not None:
            self.place.leave()
        self.untaken.remove(self)
        super().connection_lost(exc)
        # With this the connection would hold itself until the next full collection.
        if hasattr(self, "scope"):  # a broken handshake makes none
            self.scope["extensions"].pop(SOCKET, None)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.untaken.note(self, self.transport.get_write_buffer_size(), self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.untaken.remove(self)

    def data_received(self, data: bytes) -> None:
        if self.handshake_complete and (text := self._only_text(data)) is not None:
            if self._may_go_on(1):
                self._take_text(text)
            return
        # In slices: a large read of tiny frames would be parsed whole before any of them could be counted.
        for start in range(0, len(data), _SLICE_BYTES):
            if self.transport.is_closing():
                return
            part = data[start : start + _SLICE_BYTES]
            if self.handshake_initiated:  # what comes before is the handshake, which uvicorn hands over alone
                self._frame_ends.follow(part)
            super().data_received(part)
            # The library reads a head more strictly than the HTTP parser before it, and uvicorn does not ask whether it gave up.
            if self.conn.handshake_exc is not None and not self.transport.is_closing():
                self.transport.write(b"".join(self.conn.data_to_send()) or _BAD_HANDSHAKE)
                self.transport.close()

    def handle_parser_exception(self) -> None:
        """The library found a frame broken or too large: say 3502, our "do not come back", in place of what it would say."""
        said = self.conn.close_sent
        if said is None:  # before the handshake was answered
            self.transport.abort()
            return
        if said.code not in _BAD_FRAMES or self.close_sent:
            super().handle_parser_exception()
            return
        self.conn.data_to_send()  # nobody hears what it would say
        self.queue.put_nowait({"type": "websocket.disconnect", "code": INVALID_FRAME, "reason": said.reason})
        self.transport.write(Frame(Opcode.CLOSE, Close(INVALID_FRAME, said.reason).serialize()).serialize(mask=False))
        self.close_sent = True
        self.transport.close()

    def handle_events(self) -> None:
        frames = len(self.conn.events)
        if self.handshake_complete and frames and not self._may_go_on(frames):
            self.conn.events_received()
            return
        super().handle_events()

    def _may_go_on(self, frames: int) -> bool:
        """Return whether so many frames more are not too many; the connection is closed if they are."""
        now = self.loop.time()
        earned = (now - self._frames_counted_at) * _FRAMES_PER_SECOND
        self._frames_left = min(_FRAMES_AT_ONCE, self._frames_left + earned) - frames
        self._frames_counted_at = now
        if self._frames_left < 0:
            self.force_close(INVALID_FRAME, "too many frames")
            return False
        return True

    def _only_text(self, data: bytes) -> bytes | None:
        """The text in `data`, if that is one whole short text frame between two others (RFC 6455 section 5.2) and nothing else.

        Answers to messages come so, and what opens a session. The library's parser, to which goes everything else, takes a
        quarter of a message's time.
        """
        if len(data) < 6 or data[0] != _WHOLE_TEXT:
            return None
        start, length = 6, data[1] - _MASKED
        if length >= _TWO_BYTES_MORE:
            if length > _TWO_BYTES_MORE:
                return None
            start, length = 8, int.from_bytes(data[2:4])
        if len(data) != start + length or len(data) > _SLICE_BYTES or not self._is_between_frames():
            return None
        return apply_mask(data[start:], data[start - 4 : start])

    def _is_between_frames(self) -> bool:
        return (
            self._frame_ends.are_between_messages()
            and self.conn.state is State.OPEN
            and not self.conn.extensions
            and not self.transport.is_closing()
        )

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][SOCKET] = self  # type: ignore[assignment]

    def start_keepalive(self) -> None:
        # The handshake is over: what it was made of would be held as long as the session, and is nobody's any more.
        self.request = self.response = None  # type: ignore[assignment]
        self.scope["headers"] = []
        super().start_keepalive()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text":
            self._take_text(b"".join(self.frames))
        elif self._is_heard(None):
            self.frames = []
        else:
            super().send_receive_event_to_app()

    def _take_text(self, content: bytes) -> None:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            # uvicorn would log an error for each, and close with a code after which clients come back with the same.
            self.frames = []
            self.force_close(INVALID_FRAME, "the frame is not UTF-8")
            return
        if self._is_heard(text):
            self.frames = []
        else:
            self.curr_msg_data_type, self.frames = "text", [content]
            super().send_receive_event_to_app()

    def _is_heard(self, text: str | None) -> bool:
        """Give a frame to whoever listens; False when it is left for the session's own task."""
        if self._hear is None or self.close_sent or not self.queue.empty():
            return False
        try:
            if self._hear(text):
                self._frames_left += 1
        except Exception:
            # The session's own task hears it again, and ends as whatever fails there ends.
            self._hear = None
            return False
        return True

    def listen(self, hear: Hear) -> None:
        """Call `hear` with every frame where it is parsed: to wake a task for it would take a fifth of a message's way there and back."""
        self._hear = hear

    def handle_ping(self) -> None:
        # Pongs pass by the flow control: a peer that pings and never reads would fill our memory with them.
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    def send_now(self, text: bytes) -> bool:
        """Write a text frame without making anybody wait; False, and nothing written, where that cannot be."""
        if (
            not self.writable.is_set()
            or self.close_sent
            or self.transport.is_closing()
            or self.conn.state is not State.OPEN
            or self.conn.extensions
        ):
            return False
        self.transport.write(_text_head(len(text)) + text)
        return True

    def force_close(self, code: int, reason: str) -> None:
        """Send a close frame behind whatever waits, and hang up soon whether it was read or not."""
        if self.disconnected:
            return
        self.stop_keepalive()
        if not self.close_sent and self.conn.state is State.OPEN:
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.writable.set()  # whoever waits to send finds the connection closing
        self.transport.close()
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        """The server stops: tell the client to come back."""
        if self.handshake_complete and not self.close_sent:
            self.force_close(*RESTARTING)
        else:
            super().shutdown()


def _text_head(length: int) -> bytes:
    """What stands before a server's whole text frame of so many bytes (RFC 6455 section 5.2)."""
    if length < 126:
        return b"\x81%c" % length
    if length < 2**16:
        return b"\x81\x7e" + length.to_bytes(2)
    return b"\x81\x7f" + length.to_bytes(8)
