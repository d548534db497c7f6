"""Setup: the settings of the next run as a form, from the preset to the review page. Not for starting it (`review`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widgets import Label

from trainer.config import Hardware, Preset, list_presets, load_preset, save_preset
from trainer.errors import UserError
from tui.forms.model import FormModel
from tui.forms.preflight import ask_preflight, rows_of_findings
from tui.forms.run_names import next_run_folder
from tui.forms.saving import preset_values
from tui.forms.suggestions import suggestions
from tui.forms.summary import command_line, plan
from tui.locale import text
from tui.screens.base import CockpitScreen
from tui.screens.model_dialogs import MODEL, ask_consent, pick_model, wants_consent
from tui.screens.preset_dialogs import PickDialog, SaveDialog, SaveRequest
from tui.screens.review import ReviewScreen
from tui.widgets.confirmation import Confirmation
from tui.widgets.form import Form

FIRST_PRESET = "demo"
"""Loaded when nothing else was asked for: it runs on any machine."""
PREFLIGHT_DELAY = 0.5
"""Seconds without a change before model and data are looked at."""


def first_draft() -> FormModel:
    """The settings that everything begins with: the first preset, where it can be read."""
    hardware = Hardware.detect()
    try:
        return FormModel(hardware, load_preset(FIRST_PRESET))
    except UserError:
        return FormModel(hardware)


class SetupScreen(CockpitScreen):
    """The form over a preset."""

    area: ClassVar[str] = "setup"
    CSS_PATH = "../theme/setup.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - Textual's own declaration
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "review", "setup.key_review", id="setup.review"),
        Binding("ctrl+s", "save", "setup.key_save", id="setup.save"),
        Binding("ctrl+o", "load", "setup.key_load", id="setup.load"),
        Binding("v", "look_at_data", "setup.key_data", id="setup.data"),
        Binding("t", "trust", "setup.key_trust", id="setup.trust"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.hardware = Hardware.detect()
        self.model = FormModel(self.hardware)
        self._preflight_timer: Timer | None = None
        self._preflight_of: dict[str, object] | None = None
        self._rows: int | None = None
        self._shown_revision = 0

    def compose_body(self) -> ComposeResult:
        """A line that says what is edited, and the form."""
        yield Label("", id="setup-title", markup=False)
        yield Form(self.model, suggest=self._suggest, pick=self._pick, id="setup-form")

    @property
    def form(self) -> Form:
        """The form."""
        return self.query_one(Form)

    def on_mount(self) -> None:
        """Open with the preset that was asked for, else with the first one."""
        wanted, self.cockpit.setup_request = self.cockpit.setup_request, None
        begun = self.cockpit.draft is not None
        self._use_model(self.cockpit.draft_recipe())
        if wanted is not None and begun:
            self._ask_then_open(wanted)
        elif wanted is not None:
            self._open(wanted)
        self.relabel()

    def on_shown(self) -> None:
        """Take the preset that another screen asked for; changes are not dropped without a question."""
        wanted, self.cockpit.setup_request = self.cockpit.setup_request, None
        if wanted is not None:
            self._ask_then_open(wanted)
        if self.model.revision != self._shown_revision:
            self.form.refresh_form()
            self._look_at_data()
        field, self.cockpit.setup_field = self.cockpit.setup_field, ""
        if field:
            self.form.go_to(field)
        self._refresh_texts()

    def on_resize(self) -> None:
        """Columns or strips."""
        self.form.set_compact(self.size.width < 110)
        self.form.set_class(self.size.height < 16, "-shallow")
        self._refresh_texts()

    def relabel(self) -> None:
        """Set every text again."""
        self.form.relabel()
        self._refresh_texts()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a value is typed, only the editor has keys."""
        if action in ("review", "save", "load", "look_at_data", "trust") and self.is_mounted and self.form.typing:
            return False
        if action == "look_at_data" and self.is_mounted:
            return self.form.section == "data"
        if action == "trust" and self.is_mounted:
            return wants_consent(self.model)
        return super().check_action(action, parameters)

    # presets

    def _open(self, name: str) -> None:
        try:
            preset = load_preset(name)
        except UserError as error:
            self.notify(str(error), severity="error", timeout=6, markup=False)
            return
        self.use_preset(preset)

    def use_preset(self, preset: Preset) -> None:
        """Begin anew from a preset."""
        self._use_model(FormModel(self.hardware, preset))

    def _use_model(self, model: FormModel) -> None:
        self.model = self.cockpit.draft = model
        self.form.use_model(model)
        self._rows = None
        self._look_at_data()
        self._refresh_texts()

    def _ask_then_open(self, name: str) -> None:
        if not self.model.changes:
            self._open(name)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._open(name)

        question = text("setup.drop_changes", count=len(self.model.changes), preset=name)
        self.app.push_screen(Confirmation(text("setup.drop_yes"), question), answered)

    def action_load(self) -> None:
        """Choose a preset from a list."""

        def chosen(name: str | None) -> None:
            if name is not None:
                self._ask_then_open(name)

        self.app.push_screen(PickDialog(list_presets(), self._preset_name), chosen)

    def action_save(self) -> None:
        """Save the values as a preset of one's own."""
        infos = list_presets()
        own = {info.name for info in infos if not info.shipped}
        shipped = {info.name for info in infos if info.shipped}
        suggestion = self._preset_name if self._preset_name in own else f"my-{self._preset_name}"
        description = self.model.preset.description if self.model.preset and self._preset_name in own else ""

        def answered(request: SaveRequest | None) -> None:
            if request is not None:
                self._save(request)

        self.app.push_screen(SaveDialog(suggestion, description, own=own, shipped=shipped), answered)

    def _save(self, request: SaveRequest) -> None:
        extends, values = preset_values(self.model, request.name, frozenset(info.name for info in list_presets()))
        try:
            path = save_preset(request.name, values, extends=extends, description=request.description)
            preset = load_preset(request.name)
        except (UserError, OSError) as error:
            self.notify(str(error), severity="error", timeout=6, markup=False)
            return
        self.use_preset(preset)
        self.notify(text("setup.saved", path=_short_path(path)), markup=False)

    @property
    def _preset_name(self) -> str:
        return self.model.preset.name if self.model.preset else FIRST_PRESET

    # while it is edited

    def on_form_changed(self, message: Form.Changed) -> None:
        """Look at model and data again soon; the plan at once."""
        message.stop()
        if message.keys:
            self._look_at_data()
        self._refresh_texts()

    def _look_at_data(self) -> None:
        if self._preflight_timer is not None:
            self._preflight_timer.stop()
        self._preflight_timer = self.set_timer(PREFLIGHT_DELAY, self._start_preflight)

    def _start_preflight(self) -> None:
        self.run_worker(self._preflight(), group="preflight", exclusive=True, exit_on_error=False)

    async def _preflight(self) -> None:
        """Only model and data matter to the check, so other changes do not repeat it."""
        model, revision, values = self.model, self.model.revision, self.model.values()
        asked: dict[str, object] = {table: values.get(table, {}) for table in ("model", "data", "method")}
        if asked == self._preflight_of:
            return
        findings = await ask_preflight(values)
        if findings is None or model is not self.model or revision != model.revision:
            return
        self._preflight_of = asked
        self._rows = rows_of_findings(findings)
        model.outside_findings = tuple(found for found in findings if found.severity != "info" or found.fields)
        self.form.refresh_form()
        self._refresh_texts()

    def _suggest(self, key: str) -> Sequence[str]:
        return suggestions(key, self.model.recipe)

    def _pick(self, key: str) -> bool:
        if key == MODEL:
            pick_model(self.app, self.model, self.form.take)
        return key == MODEL

    def action_trust(self) -> None:
        """Look at the code of the model, and agree to it."""

        def agreed() -> None:
            self.form.take({"model.trust_remote_code": True})
            self._preflight_of = None
            self._look_at_data()

        ask_consent(self.app, self.model.recipe, agreed)

    def _refresh_texts(self) -> None:
        model, form = self.model, self.form
        self._shown_revision = model.revision
        parts = [text("setup.title_preset", preset=self._preset_name)]
        if model.changes:
            parts.append(text("setup.title_changes", count=len(model.changes)))
        parts.append(text(f"setup.tier_{form.tier}"))
        if form.only_changed:
            parts.append(text("setup.title_only_changed"))
        self.query_one("#setup-title", Label).update("  ·  ".join(parts))
        form.plan_pane.show(
            plan(model, self._rows),
            run_name=next_run_folder(model).name,
            command=command_line(model),
            errors=len(model.errors),
            warnings=sum(found.severity == "warning" for found in model.findings),
        )

    def action_look_at_data(self) -> None:
        """Look at the rows of the chosen sets."""
        self.cockpit.open_data(next(iter(self.model.recipe.data.dataset), None))

    def action_review(self) -> None:
        """The page before the start; Enter in a field never leads there."""
        self.app.push_screen(ReviewScreen(self.model, rows=self._rows))


def _short_path(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
