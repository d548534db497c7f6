"""Models of a hub: where they lie on this machine, and how they get there. Data sets: `fetching`.

Both hubs use the layout of the Hugging Face cache (blobs, refs, snapshots), so that what other programs have fetched is
found, and what is fetched here serves them.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainer.config.model_names import HubModel
from trainer.data.hub.hugging_face import HuggingFace
from trainer.data.hub.model_choice import INDEX, small_files, weight_files
from trainer.data.hub.modelscope import ModelScope
from trainer.data.hub.partial import bytes_here, fetch_file
from trainer.data.hub.place import ModelPlace, RemoteFile, cannot_write, is_inside, writing
from trainer.data.registry.entry import RemoteSource
from trainer.errors import UserError
from trainer.paths import cache_folder, hugging_face_cache

_AT_ONCE = 4
"""Files that are fetched at the same time: one link of a hub is seldom as fast as the machine's."""
_LOOK_SECONDS = 0.2
_SPARE = 64 << 20
"""Bytes that stay free on the disk."""


@dataclass(frozen=True)
class Download:
    """How far a download is."""

    model: HubModel
    done: int
    """Bytes that are here, those of earlier attempts among them."""
    total: int
    fetched: int
    """Bytes that came this time."""
    seconds: float
    """Since it began."""

    @property
    def seconds_left(self) -> float | None:
        """At the speed so far; None while nothing is known."""
        return (self.total - self.done) * self.seconds / self.fetched if self.fetched > 0 and self.seconds else None


DownloadProgress = Callable[[Download], None]
"""Called about five times a second, and at the end. What it raises ends the download; what has come is kept."""


class Stopped(Exception):
    """Another file of the same model could not be fetched."""


def model_cache(model: HubModel, cache_dir: str | None = None) -> Path:
    """The folder of a model in its cache: `refs`, `snapshots` and `blobs` are below it."""
    if model.hub == "huggingface":
        base = Path(cache_dir).expanduser() if cache_dir else hugging_face_cache()
    else:
        base = Path(cache_dir).expanduser() / "modelscope" if cache_dir else cache_folder() / "hub" / "modelscope"
    return base / f"models--{model.name.replace('/', '--')}"


def cached_snapshot(model: HubModel, cache_dir: str | None = None) -> Path | None:
    """What is here of a model, at the state in which it was fetched last; perhaps without its weights."""
    base = model_cache(model, cache_dir)
    reference = base / "refs" / _reference(model)
    with suppress(OSError, ValueError):
        state = reference.read_text(encoding="utf-8").strip() if reference.is_file() else model.revision
        snapshot = base / "snapshots" / (state or "")
        if state and snapshot.is_dir() and any(snapshot.iterdir()):
            return snapshot
    return None


def fetch_model(
    model: HubModel, *, cache_dir: str | None = None, weights: bool = True, progress: DownloadProgress | None = None
) -> Path:
    """Bring a model to this machine and give its folder; without `weights` only config and tokenizer.

    Asks the hub for the present state of the revision. What is here already is not fetched again, and what an earlier
    attempt left of a file is gone on with.

    Raises: UserError in one line that says what to do; what `progress` raises.
    """
    place = _place(model)
    state, listed = place.files()
    files = [file for file in listed if is_inside(file.name)]
    if not re.fullmatch(r"\w[\w.-]*", state):
        raise UserError(f"{model}: the hub names no commit", field="model_name_or_path", hint="Try again later")
    fetching = _Fetching(model, place, state, model_cache(model, cache_dir))
    wanted = small_files(files)
    if weights:
        # The index tells which of the weights are wanted.
        index = [file for file in wanted if file.name == INDEX]
        fetching.fetch(index, None)
        content = (fetching.snapshot / INDEX).read_bytes() if index else None
        wanted += weight_files(model, files, content)
    fetching.fetch(wanted, progress)
    fetching.write_reference()
    return fetching.snapshot


def _place(model: HubModel) -> ModelPlace:
    kind = "hf" if model.hub == "huggingface" else "ms"
    source = RemoteSource("hf" if kind == "hf" else "ms", model.name, model.revision, holds="model")
    return HuggingFace(source) if kind == "hf" else ModelScope(source)


def _reference(model: HubModel) -> str:
    return model.revision or "main"


class _Fetching:
    """One model on its way into the cache."""

    def __init__(self, model: HubModel, place: ModelPlace, state: str, base: Path) -> None:
        self._model = model
        self._place = place
        self._state = state
        self._base = base
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._done = self._fetched = 0
        self.snapshot = base / "snapshots" / state

    def blob(self, file: RemoteFile) -> Path:
        """Where the content of a file lies."""
        return self._base / "blobs" / file.label

    def fetch(self, files: Sequence[RemoteFile], progress: DownloadProgress | None) -> None:
        """Bring these files here, several at once, the largest first."""
        missing = [file for file in files if not (self.snapshot / file.name).exists()]
        total = sum(file.size or 0 for file in files)
        needed = sum((file.size or 0) - bytes_here(self.blob(file)) for file in missing)
        self._check_room(needed)
        self._done, self._fetched, began = total - needed, 0, time.monotonic()
        ordered = sorted(missing, key=lambda file: file.size or 0, reverse=True)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="download") as pool:
            try:
                pending = {pool.submit(self._fetch_one, file) for file in ordered}
                while pending:
                    finished, pending = wait(pending, _LOOK_SECONDS)
                    for one in finished:
                        one.result()
                    if progress is not None:
                        spent = time.monotonic() - began
                        progress(Download(self._model, self._done, total, self._fetched, spent))
            finally:
                # Also when the user has left with Ctrl-C: the threads end at their next block.
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
        self._stop.clear()

    def _fetch_one(self, file: RemoteFile) -> None:
        blob, place = self.blob(file), self.snapshot / Path(*Path(file.name).parts)
        if not blob.is_file():
            fetch_file(self._place, file, self._state, blob, self._arrived)
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            _link(blob, place)

    def _arrived(self, count: int) -> None:
        if self._stop.is_set():
            raise Stopped
        with self._lock:
            self._done += count
            self._fetched += count

    def _check_room(self, needed: int) -> None:
        """Raises: UserError when the disk has no room for so many bytes."""
        try:
            self._base.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._base).free
        except OSError as error:
            raise cannot_write(self._base, error) from error
        if needed + _SPARE > free:
            problem = f"{self._model} needs {needed / 1e9:.1f} GB more, and {free / 1e9:.1f} GB are free"
            hint = "Make room, or choose another place with cache_dir or HF_HOME"
            raise UserError(problem, file=self._base, field="model_name_or_path", hint=hint)

    def write_reference(self) -> None:
        """Say which state the revision means, as other clients of the cache do."""
        if self._model.revision == self._state:
            return
        file = self._base / "refs" / _reference(self._model)
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_name(f".{file.name}.{os.getpid()}")
            temporary.write_text(self._state, encoding="utf-8")
            temporary.replace(file)


def _link(blob: Path, place: Path) -> None:
    """Let a name of the snapshot stand for a content; where a disk knows no links, the content moves there."""
    if place.exists():
        return
    place.unlink(missing_ok=True)
    target = os.path.relpath(blob, place.parent)
    try:
        place.symlink_to(target)
    except FileExistsError:
        return
    except OSError:
        shutil.copyfile(blob, place)


def cached_models(cache_dir: str | None = None) -> Iterator[tuple[HubModel, Path]]:
    """All models of which something is on this machine, by hub and name."""
    for hub in ("huggingface", "modelscope"):
        probe = HubModel("huggingface" if hub == "huggingface" else "modelscope", "x/x")
        base = model_cache(probe, cache_dir).parent
        try:
            folders = sorted(entry.name for entry in base.iterdir() if entry.name.startswith("models--"))
        except OSError:
            continue
        for folder in folders:
            owner, _, name = folder.removeprefix("models--").partition("--")
            if not name:
                continue
            model = HubModel(probe.hub, f"{owner}/{name}")
            snapshot = cached_snapshot(model, cache_dir) or _newest_snapshot(base / folder)
            if snapshot is not None:
                yield model, snapshot


def _newest_snapshot(base: Path) -> Path | None:
    try:
        found = [(path.stat().st_mtime, path) for path in (base / "snapshots").iterdir() if path.is_dir()]
    except OSError:
        return None
    return max(found)[1] if found else None
