"""What every place that files are fetched from can do, and the errors that are the same for all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeGuard

from trainer.data.registry.entry import RemoteSource
from trainer.errors import UserError

_STORING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a hub as its listing tells."""

    name: str
    size: int | None
    """Bytes; None where the hub does not say."""
    sha256: str | None = None
    git_sha1: str | None = None
    """What git calls the file; where there is no `sha256`."""

    @property
    def label(self) -> str:
        """What tells this content from all others, as a name that it can be stored under."""
        stated = self.sha256 or self.git_sha1
        if stated and re.fullmatch("[0-9a-f]{40,64}", stated):
            return stated
        return hashlib.sha256(f"{self.name} {self.size} {stated}".encode()).hexdigest()


class Answer(Protocol):
    """The answer of a server, open for reading."""

    status: int
    """206 where it begins at the byte that was asked for, 200 where it begins at the first."""

    def read1(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class ModelPlace(Protocol):
    """One model at a hub."""

    def files(self) -> tuple[str, tuple[RemoteFile, ...]]:
        """The present state (a commit or a digest), and all files in it. Raises: UserError."""

    def open(self, name: str, state: str, start: int) -> Answer:
        """A file from the byte `start` on. Raises: OSError, http.client.HTTPException."""

    def explained(self, error: Exception) -> UserError:
        """What an error of `open` means."""


class Place(Protocol):
    """One data set at a hub or in cloud storage. All methods raise UserError."""

    def listing(self) -> tuple[str, tuple[str, ...]]:
        """The present state (a commit or a digest), and the names of all files in it."""

    def read_card(self, state: str) -> str | None:
        """The text of the data set's README.md; None if it has none."""

    def fetch(self, name: str, state: str) -> Path:
        """The file of this name in this state, on this machine."""


def is_inside(name: str) -> bool:
    """Names from the network must not lead out of the cache."""
    return bool(name) and not name.startswith("/") and ".." not in Path(name).parts


def is_offline() -> bool:
    """Whether the environment forbids the network (`HF_HUB_OFFLINE=1`), which then holds for every hub."""
    asked = (os.environ.get("HF_HUB_OFFLINE", ""), os.environ.get("TRANSFORMERS_OFFLINE", ""))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in asked)


def refuse_offline(source: RemoteSource) -> None:
    """Raises: UserError when the network is not to be used."""
    if is_offline():
        problem = f"{source} is not on this machine, and downloads are turned off (HF_HUB_OFFLINE)"
        raise UserError(problem, field=source.field, hint="Unset HF_HUB_OFFLINE, or download the files elsewhere")


def unreachable(source: RemoteSource, endpoint: str, reason: object, mirror: str) -> UserError:
    """The error when nobody answers."""
    said = str(reason).strip().split("\n", 1)[0] or type(reason).__name__
    hint = f"Check the network, name a mirror with {mirror}, or download the files elsewhere and give their path"
    return UserError(f"{source}: {endpoint} cannot be reached ({said})", field=source.field, hint=hint)


def not_found(source: RemoteSource, endpoint: str, token: str) -> UserError:
    """The error for a name that the hub does not know, or does not admit to know."""
    hint = f"Check the name; for a private {source.noun} put an access token into {token}"
    return UserError(f"{source}: no such {source.noun} at {endpoint}", field=source.field, hint=hint)


def no_access(source: RemoteSource, page: str, token: str) -> UserError:
    """The error for a repository that only some may read."""
    is_set = bool(os.environ.get(token))
    hint = f"Accept its conditions at {page}, then put an access token of that account into {token}"
    state = f"the token in {token} does not open it" if is_set else f"{token} is not set"
    return UserError(f"{source}: access is limited, and {state}", field=source.field, hint=hint)


def save(stream: BinaryIO, target: Path, *, size: int | None = None, sha256: str | None = None) -> None:
    """Write all of a stream to `target`, which appears only when it is whole.

    Raises: UserError when it cannot be written, or size or digest are not as expected; what the stream raises.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    digest, length = hashlib.sha256(), 0
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        out = temporary.open("wb")
    try:
        with out:
            while block := stream.read(1 << 20):
                digest.update(block)
                length += len(block)
                with writing(target):
                    out.write(block)
        if size is not None and length != size:
            problem = f"the download broke off ({length} of {size} bytes)"
            raise UserError(problem, file=target, hint="Try again")
        if sha256 is not None and digest.hexdigest() != sha256:
            raise UserError("the downloaded file is damaged (wrong SHA-256)", file=target, hint="Try again")
        with writing(target):
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Say of errors in the block that they are those of our own disk, not of the network.

    Raises: UserError.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(target, error) from error


def cannot_write(target: Path, error: OSError) -> UserError:
    """The error for a download that finds no place."""
    hint = "Make room, or choose another place with XDG_CACHE_HOME (for the Hugging Face hub: HF_HOME)"
    return UserError(f"the download cannot be stored: {error.strerror or error}", file=target, hint=hint)


def is_about_storing(error: BaseException) -> TypeGuard[OSError]:
    """Whether an error of a hub's client comes from our own disk."""
    return isinstance(error, OSError) and error.errno in _STORING
