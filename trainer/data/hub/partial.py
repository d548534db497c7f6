"""One file from a server that may be cut off at any moment: what has come is kept, and only the rest is asked for.

The client of the Hugging Face hub throws away what has come of a file when its process ends; of a file of five
gigabytes that is much.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import time
import urllib.error
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from trainer.data.hub.place import Answer, ModelPlace, RemoteFile, writing
from trainer.errors import UserError

_BLOCK = 1 << 20
_ATTEMPTS = 5
"""How often in a row nothing may come before it is given up."""
_WAIT_SECONDS = 0.5
_LOOK_SECONDS = 0.2
_PASSING = (408, 425, 429, 500, 502, 503, 504)

Arrived = Callable[[int], None]
"""Told how many bytes came; negative where some have to come again. What it raises ends the download."""


def partial_file(target: Path) -> Path:
    """Where the beginning of a file lies until all of it is there."""
    return target.with_name(f"{target.name}.part")


def bytes_here(target: Path) -> int:
    """How much of a file need not be fetched any more."""
    for file in (target, partial_file(target)):
        if file.is_file():
            return file.stat().st_size
    return 0


def fetch_file(place: ModelPlace, file: RemoteFile, state: str, target: Path, arrived: Arrived) -> None:
    """Bring a file of a hub to `target`, which appears only when it is whole and its digest is right.

    Two processes that want the same file take turns, and the second finds it there.

    Raises: UserError; what `arrived` raises.
    """
    begun = bytes_here(target)
    with _opened(target, arrived) as out:
        if target.is_file():
            arrived(target.stat().st_size - begun)
            return
        digest = _Digest(file)
        out.seek(0)
        while block := out.read(_BLOCK):
            digest.update(block)
        arrived(digest.length - begun)
        _fetch_rest(place, file, state, target, out, digest, arrived)
        if not digest.is_right():
            arrived(-digest.length)
            partial_file(target).unlink(missing_ok=True)
            raise UserError(f"the downloaded {file.name} is damaged (wrong digest)", file=target, hint="Try again")
        with writing(target):
            partial_file(target).replace(target)


def _opened(target: Path, arrived: Arrived) -> BinaryIO:
    """The beginning of the file, locked against other processes."""
    while True:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            out = partial_file(target).open("ab+", buffering=0)
        try:
            _lock(out, arrived)
            with suppress(FileNotFoundError):
                if target.is_file() or os.path.samestat(os.fstat(out.fileno()), partial_file(target).stat()):
                    return out
        except BaseException:
            out.close()
            raise
        # Whoever had it has thrown it away.
        out.close()


def _fetch_rest(
    place: ModelPlace, file: RemoteFile, state: str, target: Path, out: BinaryIO, digest: _Digest, arrived: Arrived
) -> None:
    """Ask again where the link broke; gives up when nothing more comes."""
    left = _ATTEMPTS
    while file.size is None or digest.length < file.size:
        before = digest.length
        problem: Exception | None = None
        try:
            answer = place.open(file.name, state, before)
            try:
                _read(answer, out, digest, target, arrived)
            finally:
                answer.close()
        except urllib.error.HTTPError as error:
            if error.code == 416:
                # The file is shorter than what lies here: it is another one.
                _restart(out, digest, arrived)
            elif error.code not in _PASSING:
                raise place.explained(error) from error
            problem = error
        except (OSError, http.client.HTTPException) as error:
            problem = error
        if problem is None and file.size is None:
            return
        left = _ATTEMPTS if digest.length > before else left - 1
        if left == 0:
            raise _gave_up(place, file, digest.length, problem)
        if digest.length <= before:
            _pause(_WAIT_SECONDS * 2 ** (_ATTEMPTS - left), arrived)


def _read(answer: Answer, out: BinaryIO, digest: _Digest, target: Path, arrived: Arrived) -> None:
    if digest.length and answer.status != 206:
        # The server knows no parts: it begins at the first byte.
        _restart(out, digest, arrived)
    while block := answer.read1(_BLOCK):
        with writing(target):
            out.write(block)
        digest.update(block)
        arrived(len(block))


def _restart(out: BinaryIO, digest: _Digest, arrived: Arrived) -> None:
    arrived(-digest.length)
    out.truncate(0)
    digest.restart()


def _gave_up(place: ModelPlace, file: RemoteFile, length: int, problem: Exception | None) -> UserError:
    told = place.explained(problem or OSError("the answer ended early"))
    if not length:
        return told
    whole = "" if file.size is None else f" of {file.size:,}"
    text = f"the download of {file.name} broke off at byte {length:,}{whole} ({told.message})"
    return UserError(text, field=told.field, hint="Start again: what has come is kept")


def _pause(seconds: float, arrived: Arrived) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        arrived(0)
        time.sleep(_LOOK_SECONDS)


def _lock(out: BinaryIO, arrived: Arrived) -> None:
    """Wait for another process that fetches the same file; where a disk knows no locks, the digest must do."""
    while True:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _pause(_LOOK_SECONDS, arrived)
        except OSError:
            return
        else:
            return


class _Digest:
    """What the content of a file must come to: the SHA-256 of the listing, or the name that git has for it."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self.restart()

    def restart(self) -> None:
        """Begin again."""
        self.length = 0
        self._hash = hashlib.sha256()
        if not self._file.sha256 and self._file.git_sha1:
            self._hash = hashlib.sha1(f"blob {self._file.size}\0".encode(), usedforsecurity=False)

    def update(self, block: bytes) -> None:
        """More of the content."""
        self.length += len(block)
        self._hash.update(block)

    def is_right(self) -> bool:
        """Whether the content is the one of the listing, as far as that says anything about it."""
        if self._file.size is not None and self.length != self._file.size:
            return False
        wanted = self._file.sha256 or self._file.git_sha1
        return wanted is None or self._hash.hexdigest() == wanted
