"""A server that speaks the uploading side of the Hugging Face hub, on this machine only, and keeps what it gets."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ModelHub:
    """What was made and uploaded."""

    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    refuses: bool = False
    address: str = ""

    def __enter__(self) -> ModelHub:
        hub = self

        class Handler(_Handler):
            state = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: ModelHub

    def do_GET(self) -> None:
        if "/revision/" in self.path or self.path.startswith("/api/models/"):
            self._send(200, {"id": "me/result", "sha": "a" * 40, "siblings": []})
        else:
            self._send(404, {})

    def do_POST(self) -> None:
        body = self._body()
        self.state.tokens.add(str(self.headers.get("Authorization")))
        if self.state.refuses:
            self._send(403, {"error": "this token may not write"})
        elif self.path == "/api/repos/create":
            made = json.loads(body)
            self.state.created.append(made)
            name = f"{made.get('organization') or 'me'}/{made['name']}"
            self._send(200, {"url": f"{self.state.address}/{name}"})
        elif "/preupload/" in self.path:
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for each in json.loads(body)["files"]
            ]
            self._send(200, {"files": files, "commitOid": "a" * 40})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                record = json.loads(line)
                if record["key"] == "file":
                    self.state.files[record["value"]["path"]] = base64.b64decode(record["value"]["content"])
            self._send(200, {"commitOid": "b" * 40, "commitUrl": f"{self.state.address}/me/result/commit/{'b' * 40}"})
        else:
            self._send(404, {"error": self.path})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, code: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Tests say what they need to know themselves."""
