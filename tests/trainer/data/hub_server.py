"""A small server that speaks the file interfaces of the Hugging Face hub and of ModelScope, on this machine only."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from tests.local_server import LocalServer, SilentHandler

COMMIT = "a" * 40


@dataclass
class HubServer(LocalServer):
    """The data sets and models that are there, by `owner/name`, and what was asked."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    commit: str = COMMIT
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path, and the Authorization header."""
    damage: bool = False
    """Send files that are not as the listing says."""
    break_after: int | None = None
    """Cut the link after so many bytes of a file, each time."""
    allowance: int | None = None
    """Bytes of files that are sent in all; from then on nothing comes."""
    knows_ranges: bool = True
    """Send the rest of a file where it is asked for."""
    slowness: float = 0.0
    """Seconds between the pieces of a file."""
    largest_page: int = 1000
    """Files that ModelScope lists at once, whatever is asked for."""

    def paths(self) -> list[str]:
        """What was asked for, without the queries."""
        return [urlsplit(path).path for _, path, _ in self.requests]

    def handler(self) -> type[SilentHandler]:
        return _Handler


class _Handler(SilentHandler):
    hub: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.hub
        hub.requests.append((self.command, self.path, self.headers.get("Authorization")))
        parts = urlsplit(self.path)
        steps = unquote(parts.path).strip("/").split("/")
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if steps[0] == "api" and steps[1] in ("datasets", "models"):
            revision = "/".join(steps[5:]) if len(steps) > 5 else "main"
            self._hugging_face_info("/".join(steps[2:4]), revision, sizes="blobs" in query)
        elif steps[0] == "datasets" and steps[3] == "resolve":
            self._hugging_face_file("/".join(steps[1:3]), steps[4], "/".join(steps[5:]))
        elif len(steps) > 4 and steps[2] == "resolve":
            self._hugging_face_file("/".join(steps[:2]), steps[3], "/".join(steps[4:]))
        elif steps[:2] == ["api", "v1"] and steps[2] in ("datasets", "models"):
            self._modelscope("/".join(steps[3:5]), "/".join(steps[5:]), query)
        else:
            self._send(404, b"")

    def _hugging_face_info(self, name: str, revision: str, *, sizes: bool) -> None:
        files = self._files(name, revision)
        if files is not None:
            siblings = [{"rfilename": path, **(_sizes(path, files[path]) if sizes else {})} for path in files]
            content = {"id": name, "sha": self.hub.commit, "siblings": siblings}
            self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _hugging_face_file(self, name: str, revision: str, path: str) -> None:
        files = self._files(name, revision)
        if files is None:
            return
        if path not in files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        etag = hashlib.sha256(files[path]).hexdigest()
        self._send_file(files[path], {"ETag": f'"{etag}"', "X-Repo-Commit": self.hub.commit})

    def _files(self, name: str, revision: str) -> dict[str, bytes] | None:
        hub = self.hub
        if name not in hub.repositories:
            self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif name in hub.gated and not self.headers.get("Authorization"):
            self._send(403, b"", {"X-Error-Code": "GatedRepo"})
        elif revision not in ("main", hub.commit, "refs/convert/parquet"):
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            return hub.repositories[name]
        return None

    def _modelscope(self, name: str, what: str, query: dict[str, str]) -> None:
        hub = self.hub
        files = hub.repositories.get(name)
        if files is None:
            self._send(404, b'{"Code": 10010205001, "Message": "not found"}')
        elif name in hub.gated and not self.headers.get("Authorization"):
            self._send(403, b'{"Code": 403, "Message": "no access"}')
        elif what == "repo":
            self._send_file(files[query["FilePath"]], {})
        elif what == "repo/files":
            found = [{"Path": path, "Type": "blob", **_scope(content)} for path, content in files.items()]
            self._send(200, json.dumps({"Code": 200, "Data": {"Files": found}}).encode())
        else:
            size = min(int(query["PageSize"]), hub.largest_page)
            first = (int(query["PageNumber"]) - 1) * size
            found = self._listed(files, query["Root"])[first : first + size]
            self._send(200, json.dumps({"Code": 200, "Data": {"Files": found}}).encode())

    def _listed(self, files: dict[str, bytes], root: str) -> list[dict[str, object]]:
        """Files and folders directly in `root`."""
        base = f"{root}/" if root else ""
        found: dict[str, dict[str, object]] = {}
        for path, content in files.items():
            if path.startswith(base):
                step, _, below = path.removeprefix(base).partition("/")
                blob = {"Type": "blob", **_scope(content)}
                found[base + step] = {"Path": base + step, **({"Type": "tree"} if below else blob)}
        return list(found.values())

    def _send_file(self, content: bytes, headers: dict[str, str]) -> None:
        """All of a file or its rest, in pieces; perhaps not to the end."""
        hub = self.hub
        content = content[:-1] + b"?" if hub.damage else content
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and hub.knows_ranges else 0
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        end = len(content) if hub.break_after is None else start + hub.break_after
        for at in range(start, min(end, len(content)), 64 << 10):
            piece = content[at : min(at + (64 << 10), end)]
            if hub.allowance is not None:
                piece = piece[: hub.allowance]
                hub.allowance -= len(piece)
            try:
                self.wfile.write(piece)
            except ConnectionError:
                return
            time.sleep(hub.slowness)
        self.close_connection = True

    def _send(self, code: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _sizes(path: str, content: bytes) -> dict[str, object]:
    """What the Hugging Face hub tells of a file: of large ones the SHA-256, of small ones git's name."""
    if path.endswith(".safetensors"):
        return {"size": len(content), "blobId": "0" * 40, "lfs": _lfs(content)}
    name = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {"size": len(content), "blobId": name}


def _lfs(content: bytes) -> dict[str, object]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "pointerSize": 130}


def _scope(content: bytes) -> dict[str, object]:
    return {"Size": len(content), "Sha256": hashlib.sha256(content).hexdigest()}
