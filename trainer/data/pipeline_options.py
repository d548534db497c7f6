"""How data sets are read and encoded. Not for doing it (`pipeline`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.config import Recipe, resolve_dataset_dir
from trainer.data.encode import EncodeOptions
from trainer.data.packing import cuts_up_text

Progress = Callable[[int, int | None], None]
"""Called with the rows done and the rows there are, which is an estimate, or None where nothing is known."""


@dataclass(frozen=True)
class PipelineOptions:
    """How data sets are read."""

    encode: EncodeOptions
    dataset_dir: str = "data"
    media_dir: str | None = None
    default_system: str | None = None
    max_samples: int | None = None
    """The recipe's limit on the rows of each data set."""
    limit_rows: int | None = None
    """The caller's limit, for a look at part of the data."""
    deadline: float | None = None
    """No further batch is read after this time (`time.monotonic`)."""
    batch_size: int = 1000
    batch_characters: int = 16_000_000
    """A batch ends early when its rows together have this many characters."""
    stop_at_bad_row: bool = True
    stop_at_long_row: bool = False
    """`on_long_row = "error"`: rows longer than `cutoff_len` are an error once all have been read."""
    num_workers: int | None = None
    """Processes that encode. None: as many as the data and the processor are worth."""
    download: bool = False
    """Whether data sets of hubs are fetched when they are not on this machine."""
    keep_rows: bool = True
    """False: only the report is wanted."""
    overwrite_cache: bool = False
    tokenized_path: str | None = None
    cache_from: int = 1_000_000
    """Bytes of data files from which on encoded rows are stored to be found again."""

    @classmethod
    def of(cls, recipe: Recipe, *, limit_rows: int | None = None, download: bool = False) -> PipelineOptions:
        """What a recipe says."""
        data = recipe.data
        encode = EncodeOptions(
            data.cutoff_len,
            data.train_on_prompt,
            data.mask_history,
            recipe.method.stage,
            "keep" if cuts_up_text(recipe) else data.on_long_row,
            data.enable_thinking,
            data.preserve_thinking,
            recipe.model.split_special_tokens,
        )
        return cls(
            encode=encode,
            dataset_dir=data.dataset_dir,
            media_dir=data.media_dir,
            default_system=data.default_system,
            max_samples=data.max_samples,
            limit_rows=limit_rows,
            download=download,
            batch_size=data.preprocessing_batch_size,
            stop_at_bad_row=data.on_bad_row == "stop",
            stop_at_long_row=encode.on_long_row == "error",
            num_workers=data.preprocessing_num_workers,
            overwrite_cache=data.overwrite_cache,
            tokenized_path=data.tokenized_path,
        )

    def for_report(self) -> PipelineOptions:
        """The same, but to the end of the data whatever the rows are like, and without keeping them."""
        return replace(self, stop_at_bad_row=False, stop_at_long_row=False, keep_rows=False, tokenized_path=None)

    def for_check(self, seconds: float) -> PipelineOptions:
        """The same as `for_report`, for no longer than `seconds`."""
        return replace(
            self.for_report(),
            batch_size=min(self.batch_size, 200),
            batch_characters=400_000,
            deadline=time.monotonic() + seconds,
            num_workers=1,
        )

    @property
    def row_limit(self) -> int | None:
        """Rows that are read of each data set."""
        limits = [limit for limit in (self.max_samples, self.limit_rows) if limit is not None]
        return min(limits, default=None)

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline

    @property
    def is_cut_short(self) -> bool:
        """Whether the caller wants less than the recipe says, so that what is read is no whole data set."""
        return self.deadline is not None or self.row_limit != self.max_samples

    @property
    def media_folder(self) -> Path:
        """Where images, videos and sounds are."""
        return Path(self.media_dir).expanduser() if self.media_dir else resolve_dataset_dir(self.dataset_dir)
