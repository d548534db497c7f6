"""Values that a text field is likely to want, looked up on this machine: data sets, reward models. Models have their
own dialog.

Which sets fit the stage is not known here: finding it out means reading rows, which a worker does (`tui.data_client`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from trainer.config import Recipe, resolve_dataset_dir
from trainer.errors import UserError
from tui import run_recipe
from tui.data_answers import DataSet, Listing
from tui.locale import text

DATASET_FIELDS = ("data.dataset", "data.eval_dataset")
REWARD_MODEL = "ppo.reward_model"
_MOST = 40
_MOST_RUNS = 8


@dataclass(frozen=True)
class Suggestion:
    """A likely value, and why it would not do, if so."""

    value: str
    against: str = ""


Suggest = Callable[[str], Sequence[Suggestion]]
"""Gives the likely values of a field, by its `table.name`."""


def suggestions(key: str, recipe: Recipe, listing: Listing | None = None) -> tuple[Suggestion, ...]:
    """Likely values of a field; empty for most. With a listing, the data sets that fit the stage come first."""
    if key == REWARD_MODEL:
        return tuple(Suggestion(path) for path in _reward_models())
    if key not in DATASET_FIELDS:
        return ()
    files = [Suggestion(name) for name in _files_here()[:_MOST]]
    if listing is None or listing.stage != recipe.method.stage:
        return (*[Suggestion(name) for name in _registered(recipe)[:_MOST]], *files)
    sets = [Suggestion(one.name, reason_against(one)) for one in listing.sets[:_MOST]]
    fitting = [one for one in sets if not one.against]
    return (*fitting, *files, *[one for one in sets if one.against])


def reason_against(one: DataSet) -> str:
    """Why a registered set cannot be used for the stage, in a few words; empty when it can."""
    if one.problem or not one.unfit:
        return one.problem
    return text("data_screen.only_for", stages=", ".join(one.stages)) if one.stages else one.unfit


def _registered(recipe: Recipe) -> tuple[str, ...]:
    from trainer.data.registry import list_datasets

    try:
        return list_datasets(resolve_dataset_dir(recipe.data.dataset_dir))
    except UserError:
        return ()


def _reward_models() -> Iterator[str]:
    """The newest checkpoints of reward models that were trained here, as one would type them."""
    from trainer.run import list_checkpoints, list_runs

    runs = (run for run in list_runs() if run_recipe.stage(run.recipe_file) == "rm")
    for run in islice(runs, _MOST_RUNS):
        saved = list_checkpoints(run.checkpoints_folder, verify="size")
        if saved:
            newest = saved[-1].path
            yield str(newest.relative_to(Path.cwd()) if newest.is_relative_to(Path.cwd()) else newest)


def _files_here() -> tuple[str, ...]:
    """Data files of the current folder, as one would type them."""
    from trainer.data.registry import INFO_FILE
    from trainer.data.sources import is_data_file

    try:
        files = sorted(file.name for file in Path.cwd().iterdir() if is_data_file(file) and file.is_file())
    except OSError:
        return ()
    return tuple(name for name in files if name != INFO_FILE)
