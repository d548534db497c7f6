"""Checkpoints that are whole or not there: staging, fsync, manifest last, one rename. Not for what is in them.

A checkpoint is a folder `step-00000200` with `manifest.json`, which names every other file with size and SHA-256.
Which one is the newest is computed from the manifests and the step numbers, never from file times.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trainer.run.faults import fault_point
from trainer.run.files import read_json, sync_folder, to_json

MANIFEST = "manifest.json"
FEWEST_KEPT = 2
Verify = Literal["size", "sha256"]
_NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that verified. `created` in wall seconds, `bytes` the sum of its files."""

    path: Path
    step: int
    created: float
    bytes: int
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Damaged:
    """A folder with a checkpoint's name that must not be loaded, and why."""

    path: Path
    reason: str


def write_checkpoint(
    folder: Path, step: int, fill: Callable[[Path], None], *, details: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Let `fill` write files into a staging folder, seal it, and make it appear as the checkpoint of `step`.

    A checkpoint of the same step is replaced. Raises: whatever `fill` raises and OSError, with the staging folder
    removed and everything as before.
    """
    fault_point("checkpoint:before-staging")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    final = folder / f"step-{step:08d}"
    staging = folder / f".staging-{final.name}-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(mode=0o700)
        fill(staging)
        checkpoint = _seal(staging, final, step, dict(details or {}))
        fault_point("checkpoint:before-rename")
        _move_into_place(staging, final)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    fault_point("checkpoint:after-rename")
    return checkpoint


def _seal(staging: Path, final: Path, step: int, details: dict[str, Any]) -> Checkpoint:
    """Bring every file to the disk, then the manifest, then the names."""
    files: dict[str, dict[str, object]] = {}
    for path in sorted(path for path in staging.rglob("*") if path.is_file() and path != staging / MANIFEST):
        files[path.relative_to(staging).as_posix()] = {"size": path.stat().st_size, "sha256": _sha256(path)}
        _sync_file(path)
        if len(files) == 1:
            fault_point("checkpoint:mid-file")
    created = time.time()
    body = {"format": 1, "step": step, "created": created, "details": details, "files": files}
    # As it will be read: JSON turns tuples into lists and keys into text, and the digest is taken over that.
    body = json.loads(json.dumps(body, default=str))
    fault_point("checkpoint:before-manifest")
    manifest = staging / MANIFEST
    manifest.write_bytes(to_json({**body, "manifest_sha256": _digest(body)}))
    _sync_file(manifest)
    for inner in (path for path in staging.rglob("*") if path.is_dir()):
        sync_folder(inner)
    sync_folder(staging)
    return Checkpoint(final, step, created, _total(files), body["details"])


def _move_into_place(staging: Path, final: Path) -> None:
    """One rename. Where a folder is in the way, it is moved aside, and `clean_staging` knows how to bring it back."""
    replaced = final.with_name(f".replaced-{final.name}-{os.getpid()}")
    if final.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        final.rename(replaced)
        fault_point("checkpoint:mid-replace")
    try:
        staging.rename(final)
    except OSError:
        with suppress(OSError):
            replaced.rename(final)
        raise
    sync_folder(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def list_checkpoints(folder: Path, *, verify: Verify = "size") -> list[Checkpoint]:
    """The whole checkpoints in `folder` by step. `sha256` reads every byte of them."""
    return [found for path in _folders(folder) if isinstance(found := inspect_checkpoint(path, verify), Checkpoint)]


def damaged_checkpoints(folder: Path, *, verify: Verify = "sha256") -> list[Damaged]:
    """The folders that have a checkpoint's name and are not whole, by step, with the first thing that is wrong."""
    return [found for path in _folders(folder) if isinstance(found := inspect_checkpoint(path, verify), Damaged)]


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose every byte is what was saved; None when there is none."""
    for path in reversed(_folders(folder)):
        found = inspect_checkpoint(path, "sha256")
        if isinstance(found, Checkpoint):
            return found
    return None


def rotate_checkpoints(folder: Path, keep: int | None, protect: Iterable[int] = ()) -> list[Path]:
    """Remove the oldest whole checkpoints until `keep` are left, never fewer than two; what was removed.

    `protect` are steps that stay, beyond that number. `keep` None or 0 keeps all. Damaged ones are left for the user.
    """
    fault_point("checkpoint:before-rotate")
    if not keep:
        return []
    protected = set(protect)
    surplus = list_checkpoints(folder)[: -max(keep, FEWEST_KEPT)]
    doomed = [found.path for found in surplus if found.step not in protected]
    for path in doomed:
        delete_checkpoint(path)
    return doomed


def delete_checkpoint(path: Path) -> None:
    """Remove a checkpoint; half of one is never listed. Raises: OSError."""
    aside = path.with_name(f".deleting-{path.name}-{os.getpid()}")
    path.rename(aside)
    shutil.rmtree(aside)


def clean_staging(folder: Path) -> None:
    """Tidy up after a trainer that was killed while saving. Only for the holder of the run's lock.

    A checkpoint that was moved aside for a newer one of the same step is brought back when that one never came.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.glob(".replaced-step-*")):
        final = folder / path.name.removeprefix(".replaced-").rpartition("-")[0]
        if not final.exists():
            path.rename(final)
    for pattern in (".staging-*", ".replaced-*", ".deleting-*"):
        for path in folder.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)
    sync_folder(folder)


def inspect_checkpoint(path: Path, verify: Verify = "sha256") -> Checkpoint | Damaged:
    """Is the checkpoint at `path` whole? Looks at every file that its manifest names."""
    name = _NAME.fullmatch(path.name)
    if name is None:
        return Damaged(path, "not a checkpoint's name")
    if not (path / MANIFEST).exists():
        return Damaged(path, "no manifest")
    manifest = read_json(path / MANIFEST)
    if manifest is None or manifest.pop("manifest_sha256", None) != _digest(manifest):
        return Damaged(path, "damaged manifest")
    if manifest["step"] != int(name[1]):
        return Damaged(path, f"holds step {manifest['step']}")
    files: dict[str, dict[str, Any]] = manifest["files"]  # type: ignore[assignment]
    for relative, expected in files.items():
        reason = _what_is_wrong(path / relative, expected, verify)
        if reason:
            return Damaged(path, f"{reason}: {relative}")
    details: dict[str, Any] = manifest["details"]  # type: ignore[assignment]
    return Checkpoint(path, int(name[1]), float(str(manifest["created"])), _total(files), details)


def _what_is_wrong(path: Path, expected: Mapping[str, Any], verify: Verify) -> str:
    try:
        size = path.stat().st_size
    except OSError:
        return "missing file"
    if size != expected["size"]:
        return f"wrong size ({size} bytes instead of {expected['size']})"
    try:
        if verify == "sha256" and _sha256(path) != expected["sha256"]:
            return "wrong hash"
    except OSError as error:
        return f"unreadable file ({error.strerror})"
    return ""


def _folders(folder: Path) -> list[Path]:
    try:
        found = [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    except OSError:
        return []
    return [path for _, path in sorted(found)]


def _total(files: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(int(entry["size"]) for entry in files.values())


def _digest(body: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
