"""What the servers of the tests have in common: an address on this machine, answers in a thread, silence."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class LocalServer:
    """Answers by its `handler` while it is entered; the handler finds it under `hub`."""

    address: str = ""

    def __enter__(self) -> Self:
        handler = type("Handler", (self.handler(),), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """The class whose objects answer a request each."""
        raise NotImplementedError


class SilentHandler(BaseHTTPRequestHandler):
    """A handler that writes no log: tests say what they need to know themselves."""

    hub: Any

    def log_message(self, *arguments: object) -> None:
        """Nothing is printed."""
