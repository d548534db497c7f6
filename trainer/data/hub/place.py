"""What every place that data sets are fetched from can do, and the errors that are the same for all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeGuard

from trainer.data.registry.entry import RemoteSource
from trainer.errors import UserError

_STORING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR)


class Place(Protocol):
    """One data set at a hub or in cloud storage. All methods raise UserError."""

    def listing(self) -> tuple[str, tuple[str, ...]]:
        """The present state (a commit or a digest), and the names of all files in it."""

    def read_card(self, state: str) -> str | None:
        """The text of the data set's README.md; None if it has none."""

    def fetch(self, name: str, state: str) -> Path:
        """The file of this name in this state, on this machine."""


def is_offline() -> bool:
    """Whether the environment forbids the network (`HF_HUB_OFFLINE=1`), which then holds for every hub."""
    asked = (os.environ.get("HF_HUB_OFFLINE", ""), os.environ.get("TRANSFORMERS_OFFLINE", ""))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in asked)


def refuse_offline(source: RemoteSource) -> None:
    """Raises: UserError when the network is not to be used."""
    if is_offline():
        problem = f"{source} is not on this machine, and downloads are turned off (HF_HUB_OFFLINE)"
        raise UserError(problem, field="dataset", hint="Unset HF_HUB_OFFLINE, or download the files elsewhere")


def unreachable(source: RemoteSource, endpoint: str, reason: object, mirror: str) -> UserError:
    """The error when nobody answers."""
    said = str(reason).strip().split("\n", 1)[0] or type(reason).__name__
    hint = f"Check the network, name a mirror with {mirror}, or download the files elsewhere and give their path"
    return UserError(f"{source}: {endpoint} cannot be reached ({said})", field="dataset", hint=hint)


def not_found(source: RemoteSource, endpoint: str, token: str) -> UserError:
    """The error for a name that the hub does not know, or does not admit to know."""
    hint = f"Check the name; for a private data set put an access token into {token}"
    return UserError(f"{source}: no such data set at {endpoint}", field="dataset", hint=hint)


def no_access(source: RemoteSource, page: str, token: str) -> UserError:
    """The error for a data set that only some may read."""
    is_set = bool(os.environ.get(token))
    hint = f"Accept its conditions at {page}, then put an access token of that account into {token}"
    state = f"the token in {token} does not open it" if is_set else f"{token} is not set"
    return UserError(f"{source}: access is limited, and {state}", field="dataset", hint=hint)


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
