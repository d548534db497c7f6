"""The widgets of the Data screen alone: long texts, tokens, lists, histogram, report, mapping."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widget import Widget

from tests.tui.cockpit_world import speaking
from trainer.paths import shipped_folder
from tui.data_answers import BadRows, Example, MappingField, Piece, Report, Token
from tui.data_mapping import (
    all_places,
    folder_for_entries,
    formatting_of,
    suggested_name,
    whole_entry,
    with_formatting,
    with_ranking,
    with_value,
)
from tui.data_report import example_of, report_rows
from tui.themes import THEMES
from tui.widgets.data_sets import short_folder
from tui.widgets.data_words import words_of_piece
from tui.widgets.histogram import histogram_rows
from tui.widgets.long_text import LongText
from tui.widgets.row_list import ListRow, RowList
from tui.widgets.scrolled_lines import ScrolledLines
from tui.widgets.token_view import TokenView
from tui.widgets.wrapping import cut, printable, words_of, wrapped


class Stage(App[None]):
    """One widget, and what it said."""

    CSS_PATH = Path(__file__).resolve().parents[2] / "tui" / "theme" / "data.tcss"

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name
        self._widget = widget
        self.wanted: list[bool] = []
        self.chosen: list[str] = []

    def compose(self) -> ComposeResult:
        yield self._widget

    def on_mount(self) -> None:
        self._widget.focus()

    def on_scrolled_lines_wanted(self, message: ScrolledLines.Wanted) -> None:
        self.wanted.append(message.whole)

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        self.chosen.append(message.key)


@asynccontextmanager
async def showing(widget: Widget, size: tuple[int, int] = (40, 6)) -> AsyncIterator[tuple[Stage, Pilot[None]]]:
    app = Stage(widget)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot


def drawn(widget: Widget) -> list[str]:
    """The rows of a widget as they stand on the screen."""
    return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]


# Long texts


async def test_only_what_is_needed_of_a_long_text_is_asked_for() -> None:
    view = LongText()
    async with showing(view) as (app, pilot):
        view.start([("line\n" * 10, "foreground")], complete=False)
        await pilot.pause()
        assert app.wanted == [False]
        view.append([("line\n" * 100, "foreground")], complete=False)
        await pilot.pause()
        assert app.wanted == [False]
        await pilot.press("end")
        assert app.wanted == [False, True]
        view.append([("line\n" * 10 + "THE END", "foreground")], complete=True)
        await pilot.pause()
        assert drawn(view)[-1] == " THE END"
        assert not view.has_more


async def test_scrolling_stops_at_both_ends_and_a_sign_says_that_more_is_below() -> None:
    view = LongText()
    async with showing(view) as (_app, pilot):
        view.start([("\n".join(str(number) for number in range(20)), "foreground")], complete=True)
        await pilot.press("up")
        assert drawn(view)[0] == " 0"
        assert drawn(view)[-1].endswith("↓")
        await pilot.press("pagedown", "down")
        assert drawn(view)[0] == " 6"
        await pilot.press("end")
        assert drawn(view)[-1] == " 19"
        await pilot.press("home")
        assert view.top == 0


async def test_a_hundred_thousand_characters_without_a_blank_wrap_and_draw_one_screenful() -> None:
    view = LongText()
    async with showing(view, (20, 5)) as (_app, pilot):
        view.start([("字" * 50_000 + "x" * 50_000, "foreground")], complete=True)
        assert all(cell_len(line) <= 20 for line in drawn(view))
        await pilot.press("end")
        assert drawn(view)[-1].strip("x ") == ""


async def test_marked_words_are_gone_to_and_stand_out() -> None:
    view = LongText()
    async with showing(view) as (app, pilot):
        view.start([("a\n" * 50 + "here is the Needle\n" + "b\n" * 50, "foreground")], complete=False)
        view.mark("needle")
        await pilot.pause()
        row = next(row for row in view.rows if "Needle" in "".join(words for words, _ in row))
        assert ("Needle", "!foreground") in row
        view.start([("nothing here", "foreground")], complete=False)
        await pilot.pause()
        assert app.wanted[-1] is True


async def test_marked_words_that_go_over_a_line_end_are_found() -> None:
    view = LongText()
    async with showing(view, (20, 5)) as (_app, pilot):
        view.start([("some words " * 300 + "the needle in the hay", "foreground")], complete=True)
        view.mark("words the needle in the hay")
        await pilot.pause()
        assert "hay" in "".join(drawn(view))


async def test_a_text_that_grows_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    view = LongText()
    async with showing(view) as (_app, pilot):
        view.start([("first\n", "foreground")], complete=False)
        view.mark("needle")
        for _ in range(3):
            view.append([("more\n" * 100, "foreground")], complete=False)
            assert view._looked == len(view._lines)
        view.append([("the nee", "foreground")], complete=False)
        view.append([("dle", "foreground")], complete=True)
        await pilot.pause()
        assert "needle" in "".join(drawn(view))


async def test_words_for_the_next_text_do_not_move_this_one() -> None:
    view = LongText()
    async with showing(view) as (app, pilot):
        view.start([("a\n" * 50 + "needle\n", "foreground")], complete=False)
        await pilot.pause()
        asked = len(app.wanted)
        view.mark("needle", go=False)
        await pilot.pause()
        assert (view.top, len(app.wanted)) == (0, asked)
        view.start([("b\n" * 50 + "needle\n", "foreground")], complete=True)
        await pilot.pause()
        assert "needle" in "".join(drawn(view))


async def test_another_width_wraps_anew_and_stays_about_where_one_was() -> None:
    view = LongText()
    async with showing(view, (40, 6)) as (_app, pilot):
        view.start([("word " * 1000, "foreground")], complete=True)
        for _ in range(10):
            await pilot.press("pagedown")
        share = view.top / len(view.plain.splitlines())
        await pilot.resize_terminal(20, 6)
        await pilot.pause()
        assert abs(view.top / len(view.plain.splitlines()) - share) < 0.05


def test_what_a_terminal_would_act_on_is_written_as_codes() -> None:
    assert printable("a\x1b[31mb\x07\r\nc\u202e\ud800") == "a\\x1b[31mb\\x07\nc\\u202e\\ud800"
    assert printable("tab\tand\nline") == "tab\tand\nline"


def test_words_stay_whole_and_a_row_does_not_begin_with_a_full_stop() -> None:
    assert words_of("two  words") == ["two  ", "words"]
    assert words_of("中文，abc") == ["中", "文，", "abc"]
    assert cut("字字字", 3) == ["字", "字", "字"]
    assert ["".join(words for words, _ in row).rstrip() for row in wrapped("one two three", "muted", 8)] == [
        "one two",
        "three",
    ]


# Tokens

TOKENS: tuple[Token, ...] = (
    ("<user>", 1, False),
    ("Hi", 22, False),
    ("\n", 3, False),
    ("<bot>", 4, False),
    ("I", 5, True),
    (" am", 6000, True),
    (" ", 7, True),
    ("<end>", 8, True),
    ("\n", 3, False),
)


async def test_learned_tokens_are_fenced_and_underlined_also_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    view = TokenView()
    async with showing(view):
        view.start(TOKENS, complete=True)
        assert drawn(view)[:2] == [" <user>Hi⏎", " <bot>▐I am·<end>▌⏎"]
        underlined = [one.text for one in view.render_line(1) if one.style and one.style.underline]
        assert "".join(underlined) == "I am·<end>"


async def test_the_ids_stand_below_their_tokens_on_demand() -> None:
    view = TokenView()
    async with showing(view) as (_app, pilot):
        view.start(TOKENS, complete=True)
        view.show_ids(True)
        await pilot.pause()
        rows = drawn(view)
        assert rows[1].split() == ["1", "22", "3"]
        assert rows[3].split() == ["4", "5", "6000", "7", "8", "3"]
        assert rows[2].index(" am") == rows[3].index("6000")
        view.show_ids(False)
        assert len([row for row in drawn(view) if row]) == 2


async def test_a_fence_that_closes_later_does_so_when_the_rest_has_come() -> None:
    view = TokenView()
    async with showing(view):
        view.start(TOKENS[:6], complete=False)
        assert "▌" not in view.plain
        view.append(TOKENS[6:], complete=True)
        assert view.plain.splitlines()[1] == "<bot>▐I am·<end>▌⏎"


async def test_a_fence_behind_a_line_end_stays_on_its_line() -> None:
    view = TokenView()
    async with showing(view):
        view.start([("I", 1, True), ("\n", 2, True), ("<user>", 3, False)], complete=True)
        assert view.plain.splitlines() == ["▐I⏎▌", "<user>"]


async def test_no_line_of_tokens_is_wider_than_the_window() -> None:
    view = TokenView()
    async with showing(view, (20, 8)):
        for ids in (False, True):
            view.show_ids(ids)
            view.start([("字符" * 3, 100_000, bool(at % 3)) for at in range(50)], complete=True)
            assert all(cell_len(line) <= 20 for line in drawn(view))


def test_what_is_learned_of_a_rendered_text_is_fenced_across_pieces() -> None:
    whole = "<user>Hi\n<bot>I am Tim.<end>\n"
    span = ((14, 28),)

    def piece(offset: int, last: int) -> Piece:
        return Piece(0, "rendered", "whole", "f", 1, 1, offset, len(whole), text=whole[offset:last], answers=span)

    alone = "".join(words for words, _ in words_of_piece(piece(0, len(whole))))
    assert alone == "<user>Hi\n<bot>▐I am Tim.<end>▌\n"
    halves = [*words_of_piece(piece(0, 18)), *words_of_piece(piece(18, len(whole)))]
    assert "".join(words for words, _ in halves) == alone
    assert "".join(words for words, role in halves if role == "_success") == "I am Tim.<end>"


# Lists


def list_of(*names: str) -> list[ListRow]:
    return [ListRow(name.strip("#") if not name.startswith("#") else "", ((name, "foreground"),)) for name in names]


async def test_the_cursor_of_a_list_goes_over_headings_and_stays_on_its_row() -> None:
    rows = RowList()
    async with showing(rows) as (app, pilot):
        rows.show(list_of("#head", "one", "#between", "two", "three"))
        assert rows.key == "one"
        await pilot.press("down")
        assert rows.key == "two"
        assert drawn(rows)[3].startswith("▌")
        rows.show(list_of("#head", "new", "one", "two"))
        assert rows.key == "two"
        rows.choose()
        await pilot.press("home")
        assert (rows.key, app.chosen) == ("new", ["two"])


async def test_a_list_that_is_longer_than_its_room_scrolls_with_its_cursor() -> None:
    rows = RowList()
    async with showing(rows, (20, 4)) as (_app, pilot):
        rows.show(list_of("#head", *(f"row{number}" for number in range(20))))
        await pilot.press("pagedown", "pagedown")
        assert rows.key in " ".join(drawn(rows))
        await pilot.press("end")
        assert rows.key == "row19"
        assert "row19" in drawn(rows)[-1]
        await pilot.press("home")
        assert "#head" in drawn(rows)[0]


async def test_a_list_without_anything_to_choose_scrolls() -> None:
    rows = RowList()
    async with showing(rows, (20, 3)) as (_app, pilot):
        rows.show(list_of(*(f"#{number}" for number in range(9))))
        await pilot.press("down")
        assert drawn(rows)[0].strip() == "#1"
        await pilot.press("end")
        assert drawn(rows)[-1].strip() == "#8"


# Report


def text_of(rows: Sequence[ListRow]) -> str:
    return "\n".join("".join(words for words, _ in one.row) for one in rows)


REPORT = Report(
    ok=True,
    rows_read=1200,
    rows_used=1190,
    rows_bad=10,
    bad=(BadRows("no answer", 10, (Example("a.jsonl:7", "a.jsonl", 7, "output is missing", "Add it"),)),),
    counts={"truncated": 3, "tokens": 1000, "trained_tokens": 250, "duplicates": 2},
    cutoff_len=128,
    lengths={"minimum": 5, "median": 60, "maximum": 400},
    edges=(0, 64, 128, 256),
    bins=(1000, 187, 3),
    batch_size=2,
    padding_unpacked=0.25,
    padding_packed=0.01,
    sequences=40,
    answers=1190,
    answers_with_end=1187,
)


def test_a_report_says_what_is_used_how_long_it_is_and_what_is_left_out() -> None:
    rows = report_rows(REPORT, 78)
    said = text_of(rows)
    assert "1,190 of 1,200 rows are used · 10 left out" in said
    assert "cutoff_len 128: 3 rows are longer" in said
    assert "1,000 tokens, 250 learned (25 %)" in said
    assert "1,187 of 1,190 learned answers teach where to stop" in said
    assert "duplicates" in said
    assert "a.jsonl:7  output is missing" in said
    assert max(cell_len("".join(words for words, _ in one.row)) for one in rows) <= 78
    keys = [one.key for one in rows if one.key]
    found = example_of(REPORT, keys[0])
    assert found is not None
    assert (found.file, found.row) == ("a.jsonl", 7)


@pytest.mark.parametrize("width", [12, 18, 40])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_fits_into_a_narrow_window(width: int, language: str) -> None:
    with speaking(language):
        for one in report_rows(REPORT, width):
            # Only bars with their labels may be wider than a window of twelve cells.
            assert cell_len("".join(words for words, _ in one.row)) <= max(width, 24)


def test_a_report_that_stops_the_training_says_so() -> None:
    said = text_of(report_rows(Report(False, 3, 0, 3), 60))
    assert "! 0 of 3 rows are used" in said
    assert "would stop here" in said


def test_the_line_of_the_cutoff_stands_where_rows_become_too_long() -> None:
    rows = ["".join(words for words, _ in row) for row in histogram_rows((0, 64, 128, 192), (9, 4, 1), 96, 2, 60)]
    assert [next(said for said in ("0–63", "64–127", "128–191", "cutoff_len 96") if said in row) for row in rows] == [
        "0–63",
        "64–127",
        "cutoff_len 96",
        "128–191",
    ]
    fits = ["".join(words for words, _ in row) for row in histogram_rows((0, 64), (9,), 512, 0, 60)]
    assert "all rows fit" in fits[-1]
    assert histogram_rows((), (), 512, 0, 60) == []


def test_a_bin_with_one_row_among_a_million_is_not_without_a_sign() -> None:
    row = histogram_rows((0, 64, 128), (1_000_000, 1), 0, 0, 40)[1]
    assert row[1][0]


# Mapping


def test_folders_are_written_as_people_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with speaking("en"):
        assert short_folder(str(shipped_folder("data"))) == "shipped with trimtab"
    assert short_folder(str(tmp_path / "mine" / "data")) == "mine/data"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert short_folder(str(tmp_path / "home" / "data")) == "~/data"
    assert short_folder("/srv/data") == "/srv/data"
    assert short_folder("data") == "data"


def test_a_mapping_is_changed_place_by_place() -> None:
    entry = {"formatting": "alpaca", "columns": {"prompt": "q", "response": "a"}}
    prompt = MappingField("column", "prompt", "q", True)
    assert with_value(entry, prompt, "question")["columns"] == {"prompt": "question", "response": "a"}
    assert with_value(entry, prompt, None)["columns"] == {"response": "a"}
    tag = MappingField("tag", "user_tag", "human", False)
    assert with_value(entry, tag, "user")["tags"] == {"user_tag": "user"}
    assert with_formatting(entry, "sharegpt") == {"formatting": "sharegpt"}
    assert with_ranking(entry, True) == {"formatting": "alpaca", "ranking": True}
    assert with_ranking({"ranking": True}, False) == {}
    assert formatting_of({}) == "alpaca"


def test_a_mapping_without_places_states_nothing() -> None:
    field = MappingField("column", "query", "input", False)
    assert with_value({"formatting": "alpaca", "columns": {"query": "input"}}, field, None) == {"formatting": "alpaca"}
    assert with_value({"formatting": "alpaca"}, field, None) == {"formatting": "alpaca"}


def test_places_that_are_still_to_be_filled_stay_in_the_mapping() -> None:
    prompt = MappingField("column", "prompt", "q", False)
    names = [field.name for field in all_places([prompt], {"formatting": "alpaca"})]
    assert names == ["prompt", "query", "response", "history", "system", "tools"]
    tag = MappingField("tag", "role_tag", "from", True)
    pictures = MappingField("column", "images", None, False)
    shown = all_places([pictures, tag], {"formatting": "sharegpt"})
    assert [field.name for field in shown] == ["messages", "system", "tools", "images", "role_tag"]


def test_an_entry_gets_the_source_of_its_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    info = tmp_path / "data" / "dataset_info.json"
    info.write_text('{"mine": {"hf_hub_url": "o/n", "num_samples": 5, "columns": {"prompt": "old"}}}')
    entry = {"formatting": "alpaca", "columns": {"prompt": "new"}}
    folder = str(tmp_path / "data")
    assert whole_entry(entry, "mine", folder, folder) == {"hf_hub_url": "o/n", "num_samples": 5, **entry}
    assert whole_entry(entry, "data/rows.json", folder, folder) == {"file_name": "rows.json", **entry}
    assert whole_entry(entry, "rows.json", folder, folder) == {"file_name": str(tmp_path / "rows.json"), **entry}
    found = whole_entry(entry, "hf://owner/name/part:test", folder, folder)
    assert found == {"hf_hub_url": "owner/name", "subset": "part", "split": "test", **entry}
    assert whole_entry(entry, "s3://bucket/a.jsonl", folder, folder)["cloud_file_name"] == "s3://bucket/a.jsonl"


def test_an_entry_that_is_written_elsewhere_still_finds_its_file(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text('{"mine": {"file_name": "rows.json", "ranking": true}}')
    found = whole_entry({"formatting": "alpaca"}, "mine", str(tmp_path), "data")
    assert found == {"file_name": str(tmp_path / "rows.json"), "formatting": "alpaca"}


def test_the_registry_that_came_with_trimtab_is_left_as_it_is() -> None:
    assert folder_for_entries(str(shipped_folder("data"))) == "data"
    assert folder_for_entries("/srv/data") == "/srv/data"


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("rows.jsonl", "rows"),
        ("/some/where/my rows.jsonl.gz", "my_rows"),
        ("hf://owner/name", "name"),
        ("folder/", "folder"),
        ("folder/*.json", "folder"),
        ("中文.json", "中文"),
    ],
)
def test_a_name_is_suggested_for_an_entry(name: str, suggested: str) -> None:
    assert suggested_name(name) == suggested
