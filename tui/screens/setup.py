"""Setup: the settings of the next run as a form, from the preset to the review page. Not for starting it (`review`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widgets import Label

from trainer.config import Finding, Hardware, Preset, list_presets, load_preset, save_preset
from trainer.errors import UserError
from tui.background import read_in_background
from tui.data_answers import Listing
from tui.data_client import DataClient
from tui.forms import fitting
from tui.forms.entry import EntryError
from tui.forms.fitting import Fit
from tui.forms.model import FormModel
from tui.forms.outlook_texts import way_text
from tui.forms.preflight import DataSize, ask_preflight, size_of_findings
from tui.forms.run_names import next_run_folder
from tui.forms.saving import preset_values
from tui.forms.suggestions import DATASET_FIELDS, Suggestion, suggestions
from tui.forms.summary import command_line, plan
from tui.inspect_client import InspectClient
from tui.latest import Latest
from tui.locale import text
from tui.screens.base import CockpitScreen
from tui.screens.model_dialogs import MODEL, ask_consent, pick_model, wants_consent
from tui.screens.preset_dialogs import PickDialog, SaveDialog, SaveRequest
from tui.screens.review import ReviewScreen
from tui.widgets.confirmation import Confirmation
from tui.widgets.dialogs import ChoiceDialog
from tui.widgets.field_editor import FieldEditor
from tui.widgets.form import Form
from tui.widgets.measures import size
from tui.widgets.plan_pane import Planned

FIRST_PRESET = "demo"
"""Loaded when nothing else was asked for: it runs on any machine."""
PREFLIGHT_DELAY = 0.5
"""Seconds without a change before model and data are looked at."""
ESTIMATE_DELAY = 0.3
"""Seconds without a change before the memory is estimated."""


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
    main_action: ClassVar[str] = "review"
    CSS_PATH = "../theme/setup.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - Textual's own declaration
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "review", "setup.key_review", id="setup.review"),
        Binding("ctrl+s", "save", "setup.key_save", id="setup.save"),
        Binding("ctrl+o", "load", "setup.key_load", id="setup.load"),
        Binding("v", "look_at_data", "setup.key_data", id="setup.data"),
        Binding("m", "make_it_fit", "setup.key_memory", id="setup.memory"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.hardware = Hardware.detect()
        self.model = FormModel(self.hardware)
        self._preflight_timer: Timer | None = None
        self._preflight_of: dict[str, object] | None = None
        self._data = DataSize()
        self._found_outside: tuple[Finding, ...] = ()
        self._inspect = InspectClient()
        self._estimate_timer: Timer | None = None
        self._question = 0
        self._estimated: tuple[object, object] | None = None
        self._fit = Fit()
        self._shown_revision = 0
        self._sets = DataClient()
        self._lists = Latest(self)
        self._listed: tuple[str, str] | None = None
        """Stage and folder of the listing that was asked for last."""
        self._listing: Listing | None = None

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

    def on_unmount(self) -> None:
        """The workers end with the screen."""
        self._inspect.worker.close()
        self._sets.worker.close()

    def on_shown(self) -> None:
        """Take the preset that another screen asked for; changes are not dropped without a question."""
        wanted, self.cockpit.setup_request = self.cockpit.setup_request, None
        if wanted is not None:
            self._ask_then_open(wanted)
        if self.model.revision != self._shown_revision:
            self.form.refresh_form()
            self._look_at_data()
        # What is free may have changed meanwhile.
        self._estimated = None
        self._estimate_soon()
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
        own = ("review", "save", "load", "look_at_data", "trust", "make_it_fit")
        if action in own and self.is_mounted and self.form.typing:
            return False
        if action == "look_at_data" and self.is_mounted:
            return self.form.section == "data"
        if action == "trust" and self.is_mounted:
            return wants_consent(self.model)
        if action == "make_it_fit":
            return self._fit.outlook is not None and bool(self._fit.outlook.ways_out)
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
        self._data, self._found_outside = DataSize(), ()
        self._look_at_data()
        self._estimate_soon()
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

        # A pipeline is several presets: it has no form.
        single = [info for info in list_presets() if not info.parts]
        self.app.push_screen(PickDialog(single, self._preset_name), chosen)

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
            self._estimate_soon()
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
        before, self._data = self._data, size_of_findings(findings)
        self._found_outside = tuple(found for found in findings if found.severity != "info" or found.fields)
        if before.longest != self._data.longest:
            self._estimate_soon()
        self._take_findings()

    def _take_findings(self) -> None:
        """Show what the checks of data and memory say."""
        memory = fitting.memory_finding(self.model, self._fit.outlook)
        self.model.outside_findings = (*self._found_outside, *memory)
        self.form.refresh_form()
        self._refresh_texts()

    # will it fit?

    def _estimate_soon(self) -> None:
        if self._estimate_timer is not None:
            self._estimate_timer.stop()
        self._estimate_timer = self.set_timer(ESTIMATE_DELAY, self._estimate)

    def _estimate(self) -> None:
        """Ask the worker about the values as they are; the answer to an older question is not wanted any more."""
        asked = (self.model.values(), self._data.longest)
        if asked == self._estimated or not self.model.recipe.model.model_name_or_path:
            return
        self._estimated = asked
        self._question += 1
        number = self._question
        question = fitting.ask(self._inspect, self.model, self._data.longest)

        def told(fit: Fit) -> None:
            self.call_later(self._take_fit, number, fit)

        read_in_background(self, lambda: question(told), lambda _: None)

    def _take_fit(self, number: int, fit: Fit) -> None:
        if number != self._question or not self.is_mounted:
            return
        self._fit = fit
        self._take_findings()
        self.refresh_bindings()

    def action_make_it_fit(self) -> None:
        """Choose one of the changes that need less memory."""
        seen = self._fit.outlook
        if seen is None or not seen.ways_out:
            return
        ways = seen.ways_out
        choices = [(str(number), way_text(way)) for number, way in enumerate(ways)]

        def chosen(number: str | None) -> None:
            if number is not None:
                self._change(ways[int(number)].change)

        said = text("estimate.ways_explanation", need=size(seen.total), free=size(seen.device.free))
        self.app.push_screen(ChoiceDialog(text("estimate.ways_title"), said, choices), chosen)

    def _change(self, change: Mapping[str, object]) -> None:
        try:
            self.model.set_many(change)
        except EntryError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.form.go_to(next(iter(change)))
        self.post_message(Form.Changed(tuple(change)))

    def _suggest(self, key: str) -> Sequence[Suggestion]:
        """Names at once; which of them fit the stage as soon as the worker has looked at their rows."""
        recipe = self.model.recipe
        asked = (recipe.method.stage, recipe.data.dataset_dir)
        if key in DATASET_FIELDS and asked != self._listed:
            self._listed, self._listing = asked, None
            values = recipe.model_dump(mode="json")
            self._lists.ask(lambda: self._sets.sets(values), self._take_listing, self._no_listing)
        return suggestions(key, recipe, self._listing)

    def _take_listing(self, listing: Listing) -> None:
        self._listing = listing
        for editor in self.query(FieldEditor):
            editor.offer(self._suggest(editor.key))

    def _no_listing(self, _error: UserError) -> None:
        # The names are offered all the same; the Data screen says what is wrong.
        self._listed = None

    def _pick(self, key: str) -> bool:
        if key == MODEL:
            pick_model(self.app, self.model, self.form.take)
        return key == MODEL

    def action_trust(self) -> None:
        """Look at the code that is to be run, and agree to it."""

        def agreed(change: dict[str, object]) -> None:
            self.form.take(change)
            self._preflight_of = None
            self._look_at_data()

        ask_consent(self.app, self.model, agreed)

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
            Planned(
                plan=plan(model, self._data.rows, self._data.tokens),
                run_name=next_run_folder(model).name,
                command=command_line(model),
                errors=len(model.errors),
                warnings=sum(found.severity == "warning" for found in model.findings),
                outlook=self._fit.outlook,
                memory_problem=self._fit.problem,
                price_per_hour=model.resolved.recipe.train.price_per_hour,
            )
        )

    def action_look_at_data(self) -> None:
        """Look at the rows of the chosen sets."""
        self.cockpit.open_data(next(iter(self.model.recipe.data.dataset), None))

    def action_review(self) -> None:
        """The page before the start; Enter in a field never leads there."""
        self.app.push_screen(ReviewScreen(self.model, rows=self._data.rows))


def _short_path(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
