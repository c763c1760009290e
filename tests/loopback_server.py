"""A web server on 127.0.0.1 that serves one video, or misbehaves in one of many ways."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

# Spares yt-dlp the look through its 1800 sites, which takes longer than the rest of a test; a
# bare address is `generic` to it either way.
YT_DLP_SHORT_CUT = ("--use-extractors", "generic")
_HTML = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body>Nothing.</body></html>"


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]

    @property
    def is_for_a_part(self) -> bool:
        return "range" in self.headers


@dataclass
class Behaviour:
    """What the server does.

    Attributes:
        ranges: whether it honours range requests.
        length: whether it says how long its answer is.
        status: answer with this error instead.
        html: send a web page instead, labelled with this content type.
        send_share: close the connection after this share of the answer.
        stall_after: fall silent after this many bytes of the answer.
        pause_sec: wait that long after each kilobyte.
        for_requests: misbehave for so many GETs only; forever by default.
    """

    ranges: bool = True
    length: bool = True
    status: int | None = None
    html: str | None = None
    send_share: float = 1.0
    stall_after: int | None = None
    pause_sec: float = 0.0
    for_requests: int | None = None


@dataclass
class LoopbackServer:
    video: Path
    port: int = 0
    behaviour: Behaviour = field(default_factory=Behaviour)
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url_base(self) -> str:
        return f"http://127.0.0.1:{self.port}/watch?v="

    @property
    def url_base_with_suffix(self) -> str:
        """For a tool that is asked for mp4 and, without a site's own list, believes the name."""
        return f"http://127.0.0.1:{self.port}/watch.mp4?v="

    @property
    def gets(self) -> list[Request]:
        return [request for request in self.requests if request.method == "GET"]

    def current_behaviour(self) -> Behaviour:
        limit = self.behaviour.for_requests
        return Behaviour() if limit is not None and len(self.gets) > limit else self.behaviour


@contextlib.contextmanager
def serve(video: Path) -> Iterator[LoopbackServer]:
    state = LoopbackServer(video)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    httpd.daemon_threads = True
    httpd.block_on_close = False
    state.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def _handler(state: LoopbackServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.requests.append(Request(self.command, self.path, headers))
            assert urlsplit(self.path).path in {"/watch", "/watch.mp4"}
            behaviour = state.current_behaviour()
            if behaviour.status is not None:
                self.send_error(behaviour.status)
                return
            with contextlib.suppress(ConnectionError):
                self._send(behaviour, headers.get("range"))

        def _send(self, behaviour: Behaviour, wanted: str | None) -> None:
            content = _HTML if behaviour.html else state.video.read_bytes()
            begin, end = 0, len(content)
            if wanted and behaviour.ranges:
                match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
                assert match
                begin, end = int(match[1]), int(match[2] or end - 1) + 1
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
            else:
                self.send_response(200)
            if behaviour.ranges:
                self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Type", behaviour.html or "video/mp4")
            if behaviour.length:
                self.send_header("Content-Length", str(end - begin))
            self.end_headers()
            if self.command == "GET":
                self._send_body(behaviour, content[begin:end])

        def _send_body(self, behaviour: Behaviour, body: bytes) -> None:
            body = body[: round(len(body) * behaviour.send_share)]
            if behaviour.stall_after is not None:
                self.wfile.write(body[: behaviour.stall_after])
                state.closing.wait()
                return
            step = 1024 if behaviour.pause_sec else len(body) or 1
            for begin in range(0, len(body), step):
                self.wfile.write(body[begin : begin + step])
                if state.closing.wait(behaviour.pause_sec):
                    return

    return Handler
