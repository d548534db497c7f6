"""What can stand in `model_name_or_path`: recent models, those on this machine, well-known ones. Reads the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config import resolve_model_path
from trainer.config.model_names import is_hub_name
from trainer.errors import UserError
from trainer.paths import shipped_folder
from trainer.run import RunDirectory, list_runs
from tui.locale import text

_MOST_RECENT = 6


@dataclass(frozen=True)
class ModelChoice:
    """One model to start from."""

    path: str
    """What goes into the field."""
    group: str
    billions: float | None = None
    bytes: float | None = None
    """Of the weights: those that are here, or about what is to be downloaded."""
    is_here: bool = False
    context: int | None = None
    licence: str = ""
    family: str = ""
    template: str = ""
    is_gated: bool = False
    brings_code: bool = False
    is_typed: bool = False

    @property
    def words(self) -> str:
        """What typing looks in."""
        return f"{self.family} {self.licence} {self.template}"


def find_models(
    hub: str = "huggingface",
    *,
    cache_dir: str | None = None,
    runs: Sequence[RunDirectory] | None = None,
    places: Iterable[Path] | None = None,
) -> list[ModelChoice]:
    """All models that can be offered, by group: recent, folders here, downloaded, well known on this hub."""
    from trainer.data.model_search import downloaded_models, local_models

    local = local_models(places)
    downloaded = downloaded_models(cache_dir)
    here: dict[str, float] = {str(model.hub.name): model.bytes for model in downloaded if model.hub and model.is_whole}
    found = list(_recent(list_runs() if runs is None else runs, here))
    if (shipped_folder("data") / "demo_model" / "config.json").is_file():
        size = _folder_bytes(shipped_folder("data") / "demo_model")
        found.append(
            ModelChoice("shipped:demo_model", text("setup.models_folders"), bytes=size, is_here=True, family="Trim")
        )
    for model in local:
        found.append(
            ModelChoice(
                _shown_path(model.folder), text("setup.models_folders"), bytes=model.bytes, is_here=model.is_whole
            )
        )
    for model in downloaded:
        if model.hub is not None and model.is_whole:
            plain = model.hub.hub == hub
            name = model.hub.name if plain else str(model.hub)
            found.append(_known(name, text("setup.models_downloaded"), model.bytes, is_here=True))
    return [*_once(found), *_well_known(hub, here)]


def _recent(runs: Sequence[RunDirectory], here: dict[str, float]) -> Iterator[ModelChoice]:
    """The models of the last runs, each once."""
    group = text("setup.models_recent")
    seen: dict[str, None] = {}
    for run in runs:
        if len(seen) >= _MOST_RECENT:
            return
        try:
            name = run.recipe().model.model_name_or_path
            made_in = Path(run.identity().working_folder)
        except UserError:
            continue
        if not name:
            continue
        folder = made_in / resolve_model_path(name)
        if not name.startswith("shipped:") and not Path(name).is_dir() and folder.is_dir():
            name = str(folder)
        if name in seen or (not is_hub_name(name) and not Path(resolve_model_path(name)).is_dir()):
            continue
        seen[name] = None
        if is_hub_name(name):
            yield _known(name, group, here.get(name), is_here=name in here)
        else:
            yield ModelChoice(name, group, bytes=_folder_bytes(Path(resolve_model_path(name))), is_here=True)


def _well_known(hub: str, here: dict[str, float]) -> Iterator[ModelChoice]:
    from trainer.data.model_catalogue import known_models

    for model in known_models():
        name = model.name_on(hub)
        if name is not None:
            yield _known(name, text("setup.models_known", family=model.family), here.get(name), is_here=name in here)


def _known(name: str, group: str, size: float | None, *, is_here: bool) -> ModelChoice:
    """A model of a hub, with what the list of well-known ones says about it."""
    from trainer.data.model_catalogue import known_model

    known = known_model(name)
    if known is None:
        return ModelChoice(name, group, bytes=size, is_here=is_here)
    return ModelChoice(
        name,
        group,
        billions=known.billions,
        bytes=size if size is not None else known.bytes,
        is_here=is_here,
        context=known.context,
        licence=known.licence,
        family=known.family,
        template=known.template,
        is_gated=known.is_gated,
        brings_code=known.brings_code,
    )


def _once(choices: Iterable[ModelChoice]) -> list[ModelChoice]:
    """Each path once, where it stands first."""
    found: dict[str, ModelChoice] = {}
    for choice in choices:
        found.setdefault(choice.path, choice)
    return list(found.values())


def _folder_bytes(folder: Path) -> int:
    from trainer.data.model_search import weight_bytes

    return weight_bytes(folder)


def _shown_path(folder: Path) -> str:
    """As one would type it: relative below the current folder, with ~ below home."""
    here, home = Path.cwd(), Path.home()
    if folder == here:
        return str(folder)
    if folder.is_relative_to(here):
        return f"./{folder.relative_to(here)}"
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)
