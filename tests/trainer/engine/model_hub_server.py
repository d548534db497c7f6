"""A server that speaks the uploading side of the Hugging Face hub, on this machine only, and keeps what it gets."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from tests.local_server import LocalServer, SilentHandler


@dataclass
class ModelHub(LocalServer):
    """What was made and uploaded."""

    created: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    refuses: bool = False

    def handler(self) -> type[SilentHandler]:
        return _Handler


class _Handler(SilentHandler):
    hub: ModelHub

    def do_GET(self) -> None:
        if "/revision/" in self.path or self.path.startswith("/api/models/"):
            self._send(200, {"id": "me/result", "sha": "a" * 40, "siblings": []})
        else:
            self._send(404, {})

    def do_POST(self) -> None:
        body = self._body()
        self.hub.tokens.add(str(self.headers.get("Authorization")))
        if self.hub.refuses:
            self._send(403, {"error": "this token may not write"})
        elif self.path == "/api/repos/create":
            made = json.loads(body)
            self.hub.created.append(made)
            name = f"{made.get('organization') or 'me'}/{made['name']}"
            self._send(200, {"url": f"{self.hub.address}/{name}"})
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
                    self.hub.files[record["value"]["path"]] = base64.b64decode(record["value"]["content"])
            self._send(200, {"commitOid": "b" * 40, "commitUrl": f"{self.hub.address}/me/result/commit/{'b' * 40}"})
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
