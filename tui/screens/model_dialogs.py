"""The dialogs of Setup about the model: choosing one, what should change with it, and the consent to code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App

from trainer.config import Recipe
from trainer.config.model_names import hub_model, prefers_modelscope
from trainer.errors import UserError
from tui.background import read_in_background
from tui.forms.entry import shown_text
from tui.forms.model import FormModel
from tui.forms.model_choices import ModelChoice
from tui.locale import text
from tui.widgets.base_model_picker import BaseModelPicker
from tui.widgets.code_consent import CodeConsent
from tui.widgets.confirmation import Confirmation
from tui.widgets.wrapping import one_line

if TYPE_CHECKING:
    from trainer.data.remote_code import ModelCode

MODEL = "model.model_name_or_path"


def pick_model(app: App[Any], model: FormModel, take: Callable[[dict[str, object]], None]) -> None:
    """Ask for the model; `take` gets the fields that change, at once and again for what fits the new model."""
    table = model.recipe.model
    hub = table.model_hub or ("modelscope" if prefers_modelscope() else "huggingface")

    def picked(choice: ModelChoice | None) -> None:
        if choice is None or choice.path == table.model_name_or_path:
            return
        left = left_of_other_model(model)
        take({MODEL: choice.path})
        if left:
            _ask_to_follow(app, model, choice, left, take)

    picker = BaseModelPicker(table.model_name_or_path or "", hub=hub, cache_dir=table.cache_dir)
    app.push_screen(picker, picked)


def left_of_other_model(model: FormModel) -> dict[str, object]:
    """Settings that were made for the model of now, with what they should become for another one."""
    recipe = model.recipe
    changes: dict[str, object] = {}
    if recipe.data.template is not None:
        changes["data.template"] = None
    if recipe.model.model_revision != "main":
        changes["model.model_revision"] = "main"
    if recipe.model.trust_remote_code:
        changes["model.trust_remote_code"] = False
    return changes


def _ask_to_follow(
    app: App[Any],
    model: FormModel,
    choice: ModelChoice,
    left: dict[str, object],
    take: Callable[[dict[str, object]], None],
) -> None:
    def answered(yes: bool | None) -> None:
        if yes:
            take(left)

    old = ", ".join(f"{key.partition('.')[2]} = {shown_text(model.value(key))}" for key in left)
    new = ", ".join(f"{key.partition('.')[2]} = {shown_text(value)}" for key, value in left.items())
    question = text("setup.follow_up", changes=old, model=choice.path, new=new)
    app.push_screen(Confirmation(text("setup.follow_title"), question), answered)


_ABOUT_MODEL = ("model_code_unknown", "model_code_changed", "model_code_not_needed")
_ABOUT_FILE = ("reward_file_unknown", "reward_file_changed")


def wants_consent(model: FormModel) -> bool:
    """Whether a finding of now is about code that was not agreed to."""
    return any(found.id in (*_ABOUT_MODEL, *_ABOUT_FILE) for found in model.findings)


def ask_consent(app: App[Any], model: FormModel, agreed: Callable[[dict[str, object]], None]) -> None:
    """Show the code that is to be run, that of the model first, and remember a yes; after one `agreed` gets the fields
    that change.
    """
    if any(found.id in _ABOUT_MODEL for found in model.findings):
        _ask_about_model(app, model.recipe, lambda: agreed({"model.trust_remote_code": True}))
    else:
        _ask_about_file(app, str(model.recipe.reward.reward_file), lambda: agreed({}))


def _ask_about_model(app: App[Any], recipe: Recipe, agreed: Callable[[], None]) -> None:
    from trainer.data.model_folder import find_model_folder
    from trainer.data.remote_code import model_code

    table = recipe.model
    name = str(table.model_name_or_path)

    def read() -> ModelCode | str | None:
        try:
            folder = find_model_folder(
                name, cache_dir=table.cache_dir, revision=table.model_revision, hub=table.model_hub
            )
            return model_code(folder)
        except UserError as error:
            return str(error)

    def show(code: ModelCode | str | None) -> None:
        if code is None or isinstance(code, str):
            app.notify(code or "", severity="error", markup=False)
        elif code.elsewhere:
            place = ", ".join(code.elsewhere)
            app.notify(text("setup.trust_elsewhere", place=place), severity="error", markup=False)
        else:
            address = hub_model(name, hub=table.model_hub, revision=table.model_revision)
            words = text("setup.trust_files", model=one_line(name))
            dialog = CodeConsent(code, words, code.named_in)
            _ask(app, dialog, code, str(address or code.folder.resolve()), agreed)

    read_in_background(app, read, show)


def _ask_about_file(app: App[Any], name: str, agreed: Callable[[], None]) -> None:
    from trainer.data.python_file import python_file

    file = Path(name).expanduser()
    try:
        code, content = python_file(file)
    except UserError as error:
        app.notify(str(error), severity="error", markup=False)
        return
    words = text("setup.trust_reward_file", file=one_line(name))
    dialog = CodeConsent(code, words, content.decode("utf-8", errors="replace").expandtabs(4).splitlines())
    _ask(app, dialog, code, str(file.resolve()), agreed)


def _ask(app: App[Any], dialog: CodeConsent, code: ModelCode, kept_as: str, agreed: Callable[[], None]) -> None:
    from trainer.data.remote_code import give_consent

    def answered(yes: bool | None) -> None:
        if not yes:
            return
        try:
            give_consent(code, kept_as)
        except UserError as error:
            app.notify(str(error), severity="error", markup=False)
            return
        app.notify(text("setup.trust_given"))
        agreed()

    app.push_screen(dialog, answered)
