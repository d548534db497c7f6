"""The Data screen in the real app, over a small stand-in for the data worker."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tests.tui import fake_data_worker
from tests.tui.cockpit_world import screen_text, until
from tui import data_client
from tui.app import TrimtabApp
from tui.data_answers import DataSet
from tui.locale import set_language
from tui.screens.data import DataScreen
from tui.screens.data_dialogs import OpenDialog, entries
from tui.screens.data_settings import DataSettings
from tui.screens.setup import SetupScreen
from tui.widgets.confirmation import Confirmation
from tui.widgets.data_mapping_list import DataMapping
from tui.widgets.row_list import RowList

COMMAND = (sys.executable, fake_data_worker.__file__)


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The fake worker, no check of model and data in Setup, a folder of the test's own to stand in."""
    begin = data_client.DataClient.__init__
    monkeypatch.setattr(
        data_client.DataClient, "__init__", lambda self, command=None, indexed=None: begin(self, COMMAND, indexed)
    )
    monkeypatch.setattr("tui.screens.setup.PREFLIGHT_DELAY", 3600.0)
    monkeypatch.chdir(tmp_path)


@asynccontextmanager
async def data_open(
    size: tuple[int, int] = (120, 40), name: str | None = None
) -> AsyncIterator[tuple[DataScreen, Pilot[int]]]:
    """The app with the Data screen in front, and a set open."""
    app = TrimtabApp(screen="data")
    app.data_request = name
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, DataScreen) and app.screen.listing is not None)
        screen = app.screen
        assert isinstance(screen, DataScreen)
        await until(pilot, lambda: screen.opened is not None or bool(screen._trouble))
        yield screen, pilot


def shown(screen: DataScreen) -> str:
    return screen_text(screen.app)


def toasts(screen: DataScreen) -> str:
    return " ".join(toast.message for toast in screen.app._notifications)


async def opened_as(pilot: Pilot[int], screen: DataScreen, name: str) -> None:
    """Wait until the set of this name is open."""
    await until(pilot, lambda: screen.opened is not None and screen.opened.name == name)


async def saying(pilot: Pilot[int], words: str) -> None:
    """Wait until these words stand on the screen."""
    await until(pilot, lambda: words in screen_text(pilot.app))


# Choosing


async def test_the_sets_of_the_recipe_are_marked_and_what_does_not_fit_says_why() -> None:
    async with data_open() as (screen, pilot):
        await saying(pilot, "Who are you?")
        rows = shown(screen).splitlines()
        assert any("[x] identity" in row for row in rows)
        assert any("[ ] ! ranked" in row and "only for dpo, rm" in row for row in rows)
        assert any("! broken" in row and "broken.json:3" in row for row in rows)
        await pilot.press("down", "down", "up")
        screen.sets.move_to("ranked")
        await saying(pilot, "it is for dpo")


async def test_enter_opens_the_set_under_the_cursor_and_escape_leads_back() -> None:
    async with data_open((80, 24)) as (screen, pilot):
        screen.sets.move_to("long")
        await pilot.press("enter")
        await saying(pilot, "row 1 of 2")
        assert screen.rows.text.has_focus
        assert "Registered" not in shown(screen)
        await pilot.press("escape")
        await saying(pilot, "Registered")
        assert screen.sets.has_focus


async def test_space_takes_a_set_into_the_recipe_and_setup_has_it() -> None:
    async with data_open() as (screen, pilot):
        before = screen.recipe_sets
        screen.sets.move_to("long")
        await pilot.press("space")
        assert screen.recipe_sets == (*before, "long")
        await saying(pilot, "[x] long")
        await pilot.press("1")
        await until(pilot, lambda: isinstance(pilot.app.screen, SetupScreen))
        assert pilot.app.screen.model.value("data.dataset") == [*before, "long"]  # type: ignore[attr-defined]
        await pilot.press("6")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("space")
        assert screen.recipe_sets == before


async def test_use_leads_to_the_field_of_setup() -> None:
    async with data_open(name="long") as (screen, pilot):
        await pilot.press("u")
        await until(pilot, lambda: isinstance(pilot.app.screen, SetupScreen))
        setup = pilot.app.screen
        assert isinstance(setup, SetupScreen)
        await until(pilot, lambda: setup.form.fields.key == "data.dataset")
        assert "long" in screen.recipe_sets


async def test_one_key_leads_from_the_data_section_of_setup_to_the_rows() -> None:
    app = TrimtabApp(screen="setup")
    async with app.run_test(size=(120, 40)) as pilot:
        setup = app.screen
        assert isinstance(setup, SetupScreen)
        await pilot.press("v")
        await pilot.pause()
        assert isinstance(app.screen, SetupScreen), "the key belongs to the section of the data"
        setup.form.go_to("data.dataset")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, DataScreen))
        await saying(pilot, "Who are you?")


async def test_what_was_changed_in_setup_is_what_the_rows_are_read_with() -> None:
    async with data_open() as (screen, pilot):
        await saying(pilot, "template (model's own)")
        await pilot.press("1")
        await until(pilot, lambda: isinstance(pilot.app.screen, SetupScreen))
        screen.model.set("data.template", "chatml")
        await pilot.press("6")
        await saying(pilot, "template chatml")


async def test_a_set_that_cannot_be_opened_says_what_to_do() -> None:
    async with data_open(name="broken") as (screen, pilot):
        await saying(pilot, "broken.json:3: not JSON. Mend the line")
        screen.sets.move_to("identity")
        screen.sets.focus()
        await pilot.press("enter")
        await saying(pilot, "Who are you?")


async def test_a_set_of_the_hub_is_downloaded_after_a_question_only() -> None:
    async with data_open() as (screen, pilot):
        screen.open_set("hub")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirmation))
        assert "not on this machine" in shown(screen)
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert screen.opened is not None
        assert screen.opened.name != "hub"
        screen.open_set("hub")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirmation))
        await pilot.press("y")
        await opened_as(pilot, screen, "hub")


# Files


async def test_a_file_is_found_while_its_path_is_typed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "rows.jsonl").write_text("{}")
    (tmp_path / "folder" / "notes.md").write_text("")
    (tmp_path / ".hidden").mkdir()
    async with data_open() as (screen, pilot):
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, OpenDialog))
        await saying(pilot, "folder/")
        assert ".hidden" not in shown(screen)
        await pilot.press("f", "enter")
        await saying(pilot, "folder/rows.jsonl")
        assert "notes.md" not in shown(screen)
        await pilot.press("down", "enter")
        await opened_as(pilot, screen, "folder/rows.jsonl")
        await saying(pilot, "Files and hub sets")


async def test_tab_completes_and_what_is_typed_may_be_a_folder_a_pattern_or_a_name(tmp_path: Path) -> None:
    for name in ("train-1.jsonl", "train-2.jsonl"):
        (tmp_path / name).write_text("{}")
    async with data_open() as (screen, pilot):
        for typed, taken in (("hf://owner/name", "hf://owner/name"), ("train-*.jsonl", "train-*.jsonl"), ("./", "./")):
            await pilot.press("o")
            await until(pilot, lambda: isinstance(pilot.app.screen, OpenDialog))
            pilot.app.screen.query_one(Input).value = typed
            await until(pilot, lambda: not pilot.app.screen._latest.busy)  # type: ignore[attr-defined]
            await pilot.press("enter")
            await opened_as(pilot, screen, taken)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, OpenDialog))
        pilot.app.screen.query_one(Input).value = "t"
        await until(pilot, lambda: pilot.app.screen.query_one(OptionList).option_count == 2)
        pilot.app.screen.query_one(OptionList).highlighted = None
        await pilot.press("tab")
        assert pilot.app.screen.query_one(Input).value == "train-"


def test_folders_come_first_and_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text("{}")
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "z").mkdir()
    assert [Path(one.path).name for one in entries(f"{tmp_path}/")] == ["z", "b.jsonl"]
    from trainer.errors import UserError

    for typed in (f"{tmp_path}/none/", "~nobody-of-this-name/"):
        with pytest.raises(UserError):
            entries(typed)


# Rows


async def test_a_row_is_looked_at_raw_rendered_and_as_tokens() -> None:
    async with data_open() as (screen, pilot):
        await saying(pilot, '"output": "I am Tim."')
        await pilot.press("enter", "tab")
        await saying(pilot, "<assistant>▐I am Tim.<end>▌")
        await pilot.press("tab")
        await saying(pilot, "<user>Who are you?⏎")
        assert "▐4 learned▌" in shown(screen)
        await pilot.press("i")
        await saying(pilot, "105")
        await pilot.press("r")
        await saying(pilot, '"instruction"')


async def test_arrows_go_from_row_to_row_and_stop_at_the_ends() -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("enter", "left", "right")
        await saying(pilot, "我是小舵")
        await pilot.press("right", "right", "right")
        await saying(pilot, "row 3 of 3")
        assert screen.rows.row == 2
        assert "left out: row without an answer" in shown(screen)
        await pilot.press("t")
        await saying(pilot, "Name the column of the answer")
        await pilot.press("g", "1", "enter")
        await saying(pilot, "Who are you?")


async def test_a_number_that_is_no_row_is_refused() -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("enter", "g")
        await pilot.press("9", "enter")
        await saying(pilot, "a number from 1 to 3")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)


async def test_search_goes_to_the_next_row_and_round_over_the_end() -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("enter", "slash")
        await pilot.press(*"你是谁", "enter")
        await until(pilot, lambda: screen.rows.row == 1)
        await until(pilot, lambda: not screen.rows.seeking)
        await pilot.press("n")
        await until(pilot, lambda: not screen.rows.seeking)
        assert screen.rows.row == 1
        await pilot.press("slash")
        screen.query_one("#data-search", Input).value = "instruction"
        await pilot.press("enter")
        await until(pilot, lambda: not screen.rows.seeking)
        assert screen.rows.row == 1, "the search begins with the row that is looked at"
        await pilot.press("n")
        await until(pilot, lambda: screen.rows.row == 2)
        await pilot.press("n")
        await until(pilot, lambda: screen.rows.row == 0)
        assert "went round" in toasts(screen)
        await pilot.press("N")
        await until(pilot, lambda: screen.rows.row == 2)
        await pilot.press("slash")
        screen.query_one("#data-search", Input).value = "nowhere"
        await pilot.press("enter")
        await until(pilot, lambda: "No row has “nowhere”" in toasts(screen))


async def test_a_search_that_takes_long_can_be_stopped() -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("enter", "slash")
        await pilot.press(*"slow", "enter")
        await saying(pilot, "1,000 rows")
        await pilot.press("right")
        await saying(pilot, "我是小舵")
        await pilot.press("escape")
        await until(pilot, lambda: not screen.rows.seeking)
        assert screen.rows.row == 1
        assert screen.rows.has_focus_within


async def test_a_row_of_a_hundred_thousand_characters_is_fetched_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    view = data_client.DataClient.view

    def watched(self: data_client.DataClient, row: int, what: str, part: str, offset: int, count: int) -> object:
        asked.append((offset, count))
        return view(self, row, what, part, offset, count)  # type: ignore[arg-type]

    monkeypatch.setattr(data_client.DataClient, "view", watched)
    async with data_open((80, 24), "long") as (screen, pilot):
        await pilot.press("right")
        await until(pilot, lambda: screen.rows.row == 1 and "Read." in shown(screen))
        assert max(offset + count for offset, count in asked) < 20_000
        await pilot.press("end")
        await saying(pilot, "THE END")
        await pilot.press("t")
        await saying(pilot, "! cut from")
        await pilot.press("end")
        await saying(pilot, "END<end>▌")


async def test_rows_that_become_known_later_can_be_gone_to() -> None:
    async with data_open(name="counted") as (screen, pilot):
        await saying(pilot, "row 1 of 3")
        assert screen.rows.complete
        await pilot.press("right", "right")
        await saying(pilot, "row 3 of 3")


async def test_ranked_rows_show_the_chosen_and_the_rejected_answer() -> None:
    async with data_open(name="ranked") as (screen, pilot):
        await pilot.press("d")
        await saying(pilot, "▐chosen I am Tim.")
        assert "a ranked data set cannot be used for sft" in shown(screen)
        await pilot.press("x")
        await saying(pilot, "▐rejected I am Tim.")


async def test_without_a_model_the_raw_row_is_shown_and_the_rest_says_why() -> None:
    async with data_open() as (screen, pilot):
        screen.model.set("model.model_name_or_path", None)
        screen.on_shown()
        await saying(pilot, "template none: no model")
        await pilot.press("t")
        await saying(pilot, "no model is chosen")
        await pilot.press("r")
        await saying(pilot, "Who are you?")


async def test_a_worker_that_dies_is_told_in_one_line_and_the_next_question_starts_another() -> None:
    async with data_open() as (screen, pilot):
        screen.open_set("crash")
        await saying(pilot, "exit status 3")
        assert "MemoryError: too large" in shown(screen)
        screen.open_set("identity")
        await saying(pilot, "Who are you?")


# Settings


async def test_settings_are_those_of_the_recipe_and_act_at_once() -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("s")
        await until(pilot, lambda: isinstance(pilot.app.screen, DataSettings))
        settings = pilot.app.screen.query_one(RowList)
        settings.move_to("data.template")
        await pilot.press("enter")
        await saying(pilot, "chatml")
        await pilot.press(*"qw", "down", "enter")
        await until(pilot, lambda: screen.model.value("data.template") == "qwen")
        settings.move_to("data.train_on_prompt")
        await pilot.press("enter")
        assert screen.model.value("data.train_on_prompt") is True
        settings.move_to("data.on_long_row")
        await pilot.press("enter")
        await saying(pilot, "  drop")
        await pilot.press("down", "enter")
        await until(pilot, lambda: screen.model.value("data.on_long_row") == "drop")
        settings.move_to("data.cutoff_len")
        await pilot.press("enter")
        pilot.app.screen.query_one(Input).value = "0"
        await saying(pilot, "expected an integer")
        await pilot.press("enter")
        await until(pilot, lambda: "expected an integer" in toasts(screen))
        assert screen.model.value("data.cutoff_len") != 0
        await pilot.press("escape")
        await saying(pilot, "template qwen")


# Columns


async def test_a_column_is_chosen_anew_and_saved_as_an_entry(tmp_path: Path) -> None:
    async with data_open(name="rows.jsonl") as (screen, pilot):
        await pilot.press("m")
        await saying(pilot, "Columns in the file: instruction, input, output")
        mapping = screen.query_one(DataMapping)
        mapping.move_to("column:query")
        await pilot.press("enter")
        await saying(pilot, "Which column is query?")
        await pilot.press("down", "down", "enter")  # from input over output to none
        await until(pilot, lambda: screen.opened is not None and "input" not in screen.opened.format.text)  # type: ignore[union-attr]
        assert "not saved" in shown(screen)
        await pilot.press("w")
        await saying(pilot, "new entry in data/dataset_info.json")
        await pilot.press("enter")
        await until(pilot, lambda: "rows stands in data/dataset_info.json" in toasts(screen))
        entry = json.loads((tmp_path / "registered.json").read_text())["rows"]
        assert entry["file_name"] == str(tmp_path / "rows.jsonl")
        assert entry["columns"] == {"prompt": "instruction", "response": "output"}
        await opened_as(pilot, screen, "rows")


async def test_what_is_chosen_again_changes_nothing() -> None:
    async with data_open(name="rows.jsonl") as (screen, pilot):
        await pilot.press("m")
        await saying(pilot, "Columns in the file: instruction, input, output")
        screen.query_one(DataMapping).move_to("column:query")
        await pilot.press("enter")
        await saying(pilot, "Which column is query?")
        await pilot.press("enter")
        await pilot.pause()
        assert "not saved" not in shown(screen)


@pytest.mark.parametrize("key", ["c", "u"])
async def test_a_mapping_that_is_not_saved_is_saved_before_it_is_used(key: str) -> None:
    async with data_open(name="rows.jsonl") as (screen, pilot):
        await pilot.press("m")
        await saying(pilot, "Columns in the file: instruction, input, output")
        screen.query_one(DataMapping).move_to("column:query")
        await pilot.press("enter")
        await saying(pilot, "Which column is query?")
        await pilot.press("down", "down", "enter")
        await saying(pilot, "not saved")
        await pilot.press(key)
        await saying(pilot, "The name under which recipes find it")
        assert "a training would not know them" in toasts(screen)
        await pilot.press("enter")
        await opened_as(pilot, screen, "rows")
        await pilot.press(key)
        await until(pilot, lambda: isinstance(screen.app.screen, SetupScreen) or "rows are used" in shown(screen))


async def test_what_a_terminal_would_act_on_never_reaches_it() -> None:
    async with data_open() as (screen, pilot):
        assert screen.opened is not None
        assert screen.opened.format is not None
        evil = "q\x1b]0;x\x07\nz"
        field = replace(screen.opened.format.mapping[0], value=evil)
        form = replace(screen.opened.format, text=evil, mapping=(field,))
        screen._take_listing(replace(screen.listing, sets=(DataSet(evil, evil, problem=evil),)))  # type: ignore[type-var]
        screen.open_set(evil, focus=False)
        screen._take_opened(replace(screen.opened, name=evil, format=form, columns=(evil,)), None)
        await pilot.press("m")
        screen.notify(evil, markup=False)
        await pilot.pause()
        assert "q\\x1b]0;x\\x07\\nz" in shown(screen)
        assert not {"\x1b", "\x07"} & set(shown(screen))
        screen.query_one(DataMapping).move_to(f"column:{field.name}")
        await pilot.press("enter")
        await saying(pilot, "Which column is")
        assert not {"\x1b", "\x07"} & set(shown(screen))


async def test_the_keys_to_the_first_steps_are_seen_in_a_small_window() -> None:
    async with data_open((80, 24)) as (screen, pilot):
        assert all(hint in shown(screen) for hint in ("enter look", "space train on it", "u to Setup", "o open"))
        await pilot.press("enter", "t")
        await saying(pilot, "→ next row")
        assert all(hint in shown(screen) for hint in ("tab view", "/ search", "i ids", "esc back"))
        assert "show the row" not in shown(screen)
        await pilot.press("o")
        await saying(pilot, "A file, a folder, a pattern")
        assert "no folder or data file" in shown(screen)


async def test_the_kind_of_rows_is_chosen_from_a_list() -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("m")
        screen.query_one(DataMapping).move_to("formatting")
        await pilot.press("enter")
        await saying(pilot, "conversation: role and content")
        await pilot.press("down", "enter")
        await until(pilot, lambda: screen.opened is not None and screen.opened.format.text.startswith("sharegpt"))  # type: ignore[union-attr]


async def test_a_name_that_is_taken_is_changed_after_saying_so(tmp_path: Path) -> None:
    async with data_open(name="identity") as (screen, pilot):
        await pilot.press("m", "w")
        await saying(pilot, "enter changes the entry")
        await pilot.press("enter")
        await until(pilot, lambda: "identity stands in" in toasts(screen))
        assert (tmp_path / "registered.json").is_file()


# Check


async def test_a_check_ends_with_its_report_and_a_bad_row_is_one_key_away() -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("c")
        await saying(pilot, "2 of 3 rows are used")
        for said in ("cutoff_len 96: 1 rows are longer", "12,345 tokens", "row without an answer", "1 row was cut."):
            assert said in shown(screen)
        await pilot.press("enter")
        await saying(pilot, "row 3 of 3")
        assert screen.view == "raw"


async def test_the_advice_of_a_check_is_taken_with_one_key() -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("c")
        await saying(pilot, "f  changes cutoff_len = 128 and checks again")
        await pilot.press("f")
        await until(pilot, lambda: screen.model.value("data.cutoff_len") == 128)
        await saying(pilot, "cutoff 128")
        await until(pilot, lambda: screen.checking.report is not None and screen.checking.proposal is None)


async def test_a_bad_row_of_another_set_opens_that_set() -> None:
    async with data_open(name="long") as (screen, pilot):
        await pilot.press("C")
        await saying(pilot, "2 of 3 rows are used")
        await pilot.press("enter")
        await opened_as(pilot, screen, "identity")


async def test_rows_can_be_looked_at_while_a_check_goes_on_and_escape_gives_it_up() -> None:
    async with data_open(name="slow.json") as (_screen, pilot):
        await pilot.press("c")
        await saying(pilot, "Checking slow.json · 500 rows")
        await pilot.press("r")
        await saying(pilot, "Who are you?")
        await pilot.press("tab", "tab", "tab", "tab")
        await saying(pilot, "esc gives it up")
        await pilot.press("escape")
        await saying(pilot, "The check was given up")


async def test_a_check_that_would_stop_the_training_says_so() -> None:
    async with data_open(name="bad") as (_screen, pilot):
        await pilot.press("c")
        await saying(pilot, "A training with this recipe would stop here.")


# Windows and languages


@pytest.mark.parametrize("size", [(20, 8), (20, 24), (40, 12), (80, 24), (120, 40), (200, 60)])
async def test_every_view_is_drawn_in_every_window(size: tuple[int, int]) -> None:
    async with data_open(size) as (screen, pilot):
        await pilot.press("enter")
        for key in ("r", "d", "t", "i", "m", "c", "right", "escape", "s", "escape", "o", "escape"):
            await pilot.press(key)
            await pilot.pause()
        await until(pilot, lambda: not screen.checking.running)
        for row in shown(screen).splitlines():
            assert len(row) <= size[0]


async def test_a_window_that_changes_keeps_the_row(runs_folder: Path) -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("enter", "right", "t")
        await saying(pilot, "我是小舵")
        for size in ((60, 20), (20, 10), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        assert screen.rows.row == 1
        await saying(pilot, "我是小舵")


async def test_the_language_changes_while_the_screen_is_open() -> None:
    async with data_open() as (screen, pilot):
        await saying(pilot, "in recipe")
        try:
            await pilot.press("L")
            await saying(pilot, "在配方中")
            assert "渲染" in shown(screen)
            await pilot.press("c")
            await saying(pilot, "采用 2 行，共 3 行")
        finally:
            set_language("en")


async def test_without_colours_everything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with data_open() as (screen, pilot):
        for key, said in (("t", "▐I am Tim.<end>▌"), ("c", "cutoff_len 96"), ("m", "formatting")):
            await pilot.press(key)
            await saying(pilot, said)
        assert "[x] identity" in shown(screen)


async def test_a_plain_terminal_gets_plain_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui.widgets.glyphs import ascii_only

    monkeypatch.setenv("TRIMTAB_ASCII", "1")
    ascii_only.cache_clear()
    try:
        async with data_open() as (_screen, pilot):
            await pilot.press("t")
            await saying(pilot, "[I am Tim.<end>]\\n")
            await pilot.press("c")
            await saying(pilot, "####")
    finally:
        ascii_only.cache_clear()


async def test_the_next_row_repaints_only_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with data_open() as (screen, pilot):
        await pilot.press("enter")
        await saying(pilot, "Who are you?")
        painted: list[object] = []
        monkeypatch.setattr(screen.sets, "refresh", lambda *regions, **_arguments: painted.append(regions))
        await pilot.press("right")
        await saying(pilot, "我是小舵")
        assert painted == [], "the list of sets is not drawn again for another row"


async def test_every_key_of_the_screen_has_a_text_and_the_help_shows_it() -> None:
    from tui.screens.help import entries_of

    async with data_open() as (screen, pilot):
        await pilot.press("enter")
        await pilot.pause()
        said = {entry.what for entry in entries_of(screen)}
        assert {"next row", "search", "check", "settings", "tokens", "columns", "to Setup", "back"} <= said
