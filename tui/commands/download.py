"""`trimtab download`: bring a model to this machine ahead of the training, so that no hour on a GPU is spent on it."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from pathlib import Path

from trainer.config import Preset, load_preset
from trainer.config.model_names import HubModel, hub_model, is_hub_name
from trainer.data.hub.models import Download
from trainer.data.model_folder import whole_model_folder
from trainer.errors import UserError
from tui.commands import output
from tui.commands.progress import duration
from tui.locale import text

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 10.0
_WIDTH = 16
_NAME_WIDTH = 24


def download(arguments: Namespace) -> int:
    """Fetch a model of a hub, or that of a preset, and say where it is."""
    model, cache_dir = _wanted(arguments)
    try:
        with _Progress() as progress:
            folder = whole_model_folder(
                model.name,
                cache_dir=cache_dir,
                revision=model.revision,
                hub=model.hub,
                refresh=arguments.refresh,
                progress=progress.show,
            )
    except KeyboardInterrupt:
        print(text("command_line.download_kept"), file=sys.stderr)
        raise
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if arguments.json:
        output.print_json({"model": str(model), "folder": str(folder), "state": folder.name, "bytes": size})
        return 0
    print(text("command_line.downloaded", model=model, size=gigabytes(size), state=folder.name[:12], folder=folder))
    return 0


def gigabytes(size: float) -> str:
    """A size as people say it; small ones in MB."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def checked_hub(hub: str | None) -> str | None:
    """The value of `--hub`. Raises: UserError for a hub that is not known."""
    if hub not in (None, "huggingface", "modelscope"):
        raise UserError(text("command_line.download_hubs"), field="--hub", value=hub)
    return hub


def _wanted(arguments: Namespace) -> tuple[HubModel, str | None]:
    """The model that the words mean, and the cache it goes to.

    Raises: UserError for a folder, and for a preset that cannot be read or whose model is a folder.
    """
    name, hub, revision, cache_dir = arguments.model, arguments.hub, arguments.revision, arguments.cache_dir
    checked_hub(hub)
    if not is_hub_name(name) and not Path(name).is_dir():
        model = _preset(name).recipe.model
        if not model.model_name_or_path:
            raise UserError(text("command_line.download_no_model", preset=name))
        name, hub, cache_dir = model.model_name_or_path, hub or model.model_hub, cache_dir or model.cache_dir
        revision = revision or model.model_revision
    found = hub_model(name, hub=hub, revision=revision)
    if found is None:
        raise UserError(text("command_line.download_local", model=name))
    return found, cache_dir


def _preset(name: str) -> Preset:
    """The preset of that name. Raises: UserError: there is none; says how a model is written."""
    try:
        return load_preset(name)
    except UserError as error:
        if error.field or error.file:
            raise
        raise UserError(error.message, hint=text("command_line.download_names")) from error


class _Progress:
    """One line that is drawn over and over; where standard error is no terminal, a line every ten seconds."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self._said = 0.0
        self._drawn = False

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def show(self, state: Download) -> None:
        """How far it is."""
        now = time.monotonic()
        if now - self._said < (_REDRAW_SECONDS if self._is_terminal else _LINE_SECONDS):
            return
        self._said = now
        line = progress_line(state)
        if self._is_terminal:
            self._drawn = True
            print(f"\r{output.cut(line, output.terminal_width() - 1)}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)


def progress_line(state: Download) -> str:
    """Name, bar, sizes, speed and the time that is left."""
    share = state.done / state.total if state.total else 0.0
    filled = round(share * _WIDTH)
    speed = state.fetched / state.seconds if state.seconds else 0.0
    return text(
        "command_line.downloading",
        model=output.cut(state.model.name.rpartition("/")[2], _NAME_WIDTH),
        bar="#" * filled + "." * (_WIDTH - filled),
        share=f"{share:.0%}",
        total=gigabytes(state.total),
        speed=f"{speed / 1e6:.1f}",
        left="-" if state.seconds_left is None else duration(state.seconds_left),
    )
