"""Asking a server for a file, or for the rest of one. Not for what is done with the answer."""

from __future__ import annotations

import urllib.request
from typing import Any

_SECONDS = 60


def open_address(address: str, *, token: str | None, start: int = 0) -> Any:
    """The open answer of a server; its `status` is 206 where it begins at the byte `start`, 200 where at the first.

    Raises: OSError (urllib.error.HTTPError among them), http.client.HTTPException.
    """
    request = urllib.request.Request(address, headers={"User-Agent": "trimtab"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    if token:
        # Not sent on when the server hands the request to its storage.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return urllib.request.urlopen(request, timeout=_SECONDS)
