"""Embeds host.lua in a Lua that lupa carries; the Python twin of luau_host.mjs.

`main` is called with the name of lupa's module, the files host.lua and first record, how fast its time passes, and a folder for
what it keeps.
"""

from __future__ import annotations

import http.client
import importlib
import json
import queue
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

REQUEST_SECONDS = 60


def escape(field: bytes) -> bytes:
    return re.sub(rb"[^!-$&-~]", lambda match: b"%%%02X" % match[0][0], field) if field else b"%"


def unescape(field: bytes) -> bytes:
    return b"" if field == b"%" else re.sub(rb"%(..)", lambda match: bytes([int(match[1], 16)]), field)


class Outside:
    """What the Lua host asks for: requests and sockets, each in a thread that puts what happens on one queue."""

    def __init__(self, files: Path) -> None:
        self._files = files
        self.happened: queue.Queue[bytes] = queue.Queue()
        self._sockets: dict[bytes, ClientConnection] = {}

    def tell(self, *fields: bytes | str | int) -> None:
        self.happened.put(b" ".join(escape(f if isinstance(f, bytes) else str(f).encode()) for f in fields))

    def http(self, id_: bytes, method: bytes, url: bytes, body: bytes, *headers: bytes) -> None:
        parts = urlsplit(url.decode())
        assert parts.hostname is not None
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=REQUEST_SECONDS)
        fields = {name.decode(): value.decode() for name, value in zip(headers[::2], headers[1::2], strict=True)}
        path = parts.path + ("?" + parts.query if parts.query else "")
        try:
            connection.request(method.decode(), path, body or None, fields)
            reply = connection.getresponse()
            self.tell("http", id_, reply.status, reply.read())
        except (OSError, http.client.HTTPException) as error:
            self.tell("http_failed", id_, str(error) or type(error).__name__)
        finally:
            connection.close()

    def store(self, id_: bytes, name: bytes, text: bytes) -> None:
        try:
            (self._files / name.decode()).write_bytes(text)
            self.tell("stored", id_, "")
        except OSError as error:
            self.tell("stored", id_, str(error))

    def recall(self, id_: bytes, name: bytes) -> None:
        try:
            self.tell("recalled", id_, (self._files / name.decode()).read_bytes())
        except OSError:
            self.tell("recalled", id_)

    def ws_open(self, id_: bytes, url: bytes) -> None:
        # Late, because most runs need no socket and importing it takes longer than a short script.
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect

        try:
            socket = connect(url.decode(), proxy=None, compression=None, max_size=None)
        except Exception as error:
            self.tell("ws_failed", id_, str(error))
            return
        self._sockets[id_] = socket
        self.tell("ws_opened", id_)
        try:
            for message in socket:
                self.tell("ws_message", id_, message if isinstance(message, bytes) else message.encode())
        except ConnectionClosed:
            pass
        self.tell("ws_closed", id_, socket.close_code or 1006, socket.close_reason or "")

    def ws_send(self, id_: bytes, text: bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            self._sockets[id_].send(text.decode())
        except ConnectionClosed:
            pass

    def ws_close(self, id_: bytes, code: bytes) -> None:
        self._sockets[id_].close(int(code))


def emit(event: bytes, text: bytes) -> None:
    sys.stdout.write(json.dumps({"event": event.decode(), "text": text.decode("utf-8", "replace")}) + "\n")
    sys.stdout.flush()


def main(engine: str, host_path: str, start_path: str, time_rate: str, files: str) -> None:
    runtime = importlib.import_module(f"lupa.{engine}").LuaRuntime(encoding=None, unpack_returned_tuples=True)
    feed, step, _ = runtime.execute(Path(host_path).read_bytes())
    outside = Outside(Path(files))
    in_threads: dict[bytes, Callable[..., Any]] = {
        b"http": outside.http,
        b"store": outside.store,
        b"recall": outside.recall,
        b"ws_open": outside.ws_open,
        b"ws_close": outside.ws_close,
    }
    records = [Path(start_path).read_bytes()]
    started, rate = time.monotonic(), float(time_rate)
    while True:
        feed(b"\n".join(records) + b"\n")
        pause = b"forever"
        for record in step((time.monotonic() - started) * rate).split(b"\n"):
            kind, *fields = record.split(b" ")
            if kind == b"pause":
                pause = fields[0]
            elif kind in in_threads:
                threading.Thread(target=in_threads[kind], args=[unescape(f) for f in fields], daemon=True).start()
            elif kind == b"ws_send":
                outside.ws_send(*(unescape(f) for f in fields))
            else:
                emit(kind, unescape(fields[0]))
        if pause == b"idle" and outside.happened.empty():
            break
        records = []
        try:
            records.append(
                outside.happened.get(timeout=None if pause in {b"forever", b"idle"} else float(pause) / rate)
            )
            while True:
                records.append(outside.happened.get_nowait())
        except queue.Empty:
            pass
    emit(b"finished", b"")
