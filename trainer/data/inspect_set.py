"""One data set opened for looking at it: its format, its rows by number, each row as tokens. Not for all rows at once
(`check`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer.config import Recipe
from trainer.data.browse import RowBrowser
from trainer.data.check import data_tokenizer
from trainer.data.formats import RowConverter, RowFormat, fits, row_format, stages_for
from trainer.data.hub import FetchProgress, entry_files
from trainer.data.inspect_row import RowView, RowViewer, raw_text
from trainer.data.inspect_sets import sample_rows, with_stated_format
from trainer.data.messages import BadRow
from trainer.data.pipeline import PipelineOptions, locate
from trainer.data.registry import DatasetEntry
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError

LoadTokenizer = Callable[[Recipe], TextTokenizer]


@dataclass(frozen=True)
class OpenedSet:
    """A data set and what the recipe makes of its rows."""

    name: str
    stage: str
    files: tuple[Path, ...]
    format: RowFormat | None
    unfit: str | None
    """Why the stage cannot use it, or why its format is not known."""
    no_tokens: str | None
    """Why rows cannot be rendered and tokenized."""
    template: str | None
    """The name of the chat template; None: the one that came with the model."""
    rows: RowBrowser
    tokenizer: TextTokenizer | None
    _viewer: RowViewer | None

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that can use it."""
        return () if self.format is None else stages_for(self.format)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that a row is shown in."""
        is_ranked = self._viewer is not None and self.stage in ("dpo", "rm")
        return ("chosen", "rejected") if is_ranked else ("whole",)

    def token(self, identifier: int) -> str:
        """A token as it is shown to people."""
        return "" if self.tokenizer is None else self.tokenizer.token(identifier)

    def view(self, number: int) -> RowView | None:
        """A row (counted from 0) in all ways of looking at it; without a tokenizer as it stands in the file. None: its
        place is not known (yet).
        """
        found = self.rows.read(number, 1)
        if not found:
            return None
        [row] = found
        if isinstance(row, BadRow):
            return RowView(row.source, self.rows.text(number) or row.text, row)
        return RowView(row.source, raw_text(row)) if self._viewer is None else self._viewer.view(row)


def open_set(
    name: str,
    recipe: Recipe,
    *,
    stated: Mapping[str, Any] | None = None,
    download: bool = False,
    progress: FetchProgress | None = None,
    load_tokenizer: LoadTokenizer = data_tokenizer,
) -> OpenedSet:
    """Opens a data set by registered name, path, pattern or address; `stated` says how its rows are read, in place of
    its entry.

    Raises: UserError when it cannot be found or its files cannot be opened; NotDownloadedError.
    """
    stage = recipe.method.stage
    entry = locate(name, recipe.data.dataset_dir)
    if stated is not None:
        entry = with_stated_format(entry, stated)
    files = entry_files(entry, download=download, progress=progress)
    found, unfit = _format(replace(entry, files=files), stage)
    viewer, tokenizer, no_tokens = None, None, unfit
    if found is not None and unfit is None:
        try:
            tokenizer = load_tokenizer(recipe)
            viewer = _viewer(found, recipe, tokenizer)
        except UserError as error:
            no_tokens = str(error)
    return OpenedSet(
        name=entry.name,
        stage=stage,
        files=files,
        format=found,
        unfit=unfit,
        no_tokens=no_tokens,
        template=recipe.data.template,
        rows=RowBrowser(files),
        tokenizer=tokenizer,
        _viewer=viewer,
    )


def _format(entry: DatasetEntry, stage: str) -> tuple[RowFormat | None, str | None]:
    """How the rows are read, and why `stage` cannot use them."""
    try:
        samples = sample_rows(entry.files)
        try:
            return row_format(entry, samples, stage), None
        except UserError as error:
            found = row_format(entry, samples, None)
            return found, fits(found, stage) or str(error)
    except UserError as error:
        return None, str(error)


def _viewer(found: RowFormat, recipe: Recipe, tokenizer: TextTokenizer) -> RowViewer:
    options = PipelineOptions.of(recipe)
    stage = recipe.method.stage
    converter = RowConverter(found, options.default_system, stage=stage, media_dir=options.media_folder)
    return RowViewer(converter, tokenizer, options.encode)
