"""The Data screen over the data worker itself: shipped sets, the demo model, files of the test's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tui.cockpit_world import screen_text, until
from tui.app import TrimtabApp
from tui.screens.data import DataScreen
from tui.widgets.data_mapping_list import DataMapping


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing prepared is kept from one test to the next, and the test stands in a folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


async def test_a_shipped_set_is_read_rendered_tokenized_and_checked() -> None:
    app = TrimtabApp(screen="data")
    app.data_request = "messages_sample"
    async with app.run_test(size=(120, 50)) as pilot:
        await until(pilot, lambda: "row 1 of 6" in screen_text(app), 60)
        screen = app.screen
        assert isinstance(screen, DataScreen)
        assert '"role": "system"' in screen_text(app)
        await pilot.press("d")
        await until(pilot, lambda: "▐Dublin is the capital of Ireland.<|im_end|>▌" in screen_text(app))
        await pilot.press("t")
        await until(pilot, lambda: "<|im_start|>assistant⏎" in screen_text(app))
        piece = screen.rows._piece
        assert piece is not None
        learned = "".join(words for words, _, trained in piece.tokens if trained)
        assert learned.startswith("Dublin is the capital of Ireland.<|im_end|>")
        await pilot.press("c")
        await until(pilot, lambda: "6 of 6 rows are used" in screen_text(app), 60)
        assert "all rows fit" in screen_text(app)


@pytest.mark.parametrize(
    ("stage", "name", "shown"),
    [
        ("pt", "text_sample", "for pt, ppo, grpo, rloo"),
        ("dpo", "demo_preference", "for dpo, rm"),
        ("kto", "kto_sample", "for kto"),
        ("ppo", "prompts_sample", "for pt, ppo, grpo, rloo"),
    ],
)
async def test_each_stage_looks_at_a_set_that_fits_it_in_every_view(stage: str, name: str, shown: str) -> None:
    app = TrimtabApp()
    async with app.run_test(size=(160, 50)) as pilot:
        app.draft_recipe().set("method.stage", stage)
        app.data_request = name
        await pilot.press("6")
        await until(pilot, lambda: "row 1 of" in screen_text(app), 60)
        screen = app.screen
        assert isinstance(screen, DataScreen)
        screen.sets.move_to(name)
        await until(pilot, lambda: shown in screen_text(app))
        for key in ("d", "t", "m", "c"):
            await pilot.press(key)
            await pilot.pause(0.2)
        await until(pilot, lambda: "rows are used" in screen_text(app), 60)


async def test_a_file_with_bad_rows_is_opened_searched_checked_and_its_bad_row_shown(tmp_path: Path) -> None:
    rows = [{"question": f"Number {number}?", "answer": f"It is {number}."} for number in range(300)]
    lines = [json.dumps(row) for row in rows]
    lines[200] = '{"question": "torn'
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(lines) + "\n")
    app = TrimtabApp(screen="data")
    app.data_request = str(file)
    async with app.run_test(size=(120, 50)) as pilot:
        await until(pilot, lambda: "row 1 of 300" in screen_text(app), 60)
        screen = app.screen
        assert isinstance(screen, DataScreen)
        await pilot.press("slash")
        await pilot.press(*"number 299?", "enter")
        await until(pilot, lambda: screen.rows.row == 299 and "It is 299." in screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: "question" in screen_text(app) and "detected" in screen_text(app))
        await pilot.press("c")
        await until(pilot, lambda: "299 of 300 rows are used" in screen_text(app), 60)
        assert "mine.jsonl:201" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: screen.rows.row == 200 and '{"question": "torn' in screen_text(app))


async def test_a_mapping_is_saved_into_the_registry_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").write_text('{"q": "one", "a": "two", "note": "three"}\n' * 3)
    (tmp_path / "data" / "dataset_info.json").write_text("{}")
    app = TrimtabApp(screen="data")
    app.draft_recipe().set("data.dataset_dir", "data")
    app.data_request = "data/rows.jsonl"
    async with app.run_test(size=(120, 50)) as pilot:
        await until(pilot, lambda: "row 1 of 3" in screen_text(app), 60)
        screen = app.screen
        assert isinstance(screen, DataScreen)
        screen._mapping_changed(
            screen.query_one("#data-mapping").Changed(  # type: ignore[attr-defined]
                {"formatting": "alpaca", "columns": {"prompt": "q", "response": "note"}}
            )
        )
        await pilot.press("d")
        await until(pilot, lambda: "▐three" in screen_text(app))
        await pilot.press("m", "w")
        await until(pilot, lambda: "new entry in data/dataset_info.json" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: screen.opened is not None and screen.opened.name == "rows")
    entry = json.loads((tmp_path / "data" / "dataset_info.json").read_text())["rows"]
    assert entry["file_name"] == "rows.jsonl"
    assert entry["columns"]["response"] == "note"


async def test_an_entry_beside_the_shipped_ones_is_trained_on_after_a_question(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"q": "one", "a": "two"}\n' * 3)
    app = TrimtabApp(screen="data")
    app.data_request = "rows.jsonl"
    async with app.run_test(size=(120, 50)) as pilot:
        await until(pilot, lambda: "row 1 of 3" in screen_text(app), 60)
        screen = app.screen
        assert isinstance(screen, DataScreen)
        mapping = screen.query_one(DataMapping)
        await pilot.press("m")
        await until(pilot, lambda: "Enter on formatting" in screen_text(app))
        for column, steps in (("formatting", 0), ("column:prompt", 1), ("column:response", 2)):
            await until(pilot, lambda wanted=column: any(one.key == wanted for one in mapping._list))
            mapping.move_to(column)
            before = screen.opened
            await pilot.press("enter", *["down"] * steps, "enter")
            await until(pilot, lambda was=before: screen.opened is not was and not screen._opening)
        await pilot.press("u", "enter")
        await until(pilot, lambda: "This recipe looks for its sets elsewhere" in screen_text(app))
        assert "identity" in screen_text(app)
        await pilot.press("y")
        await until(pilot, lambda: screen.opened is not None and screen.opened.name == "rows")
        assert screen.model.recipe.data.dataset == ["rows"]
        assert screen.model.recipe.data.dataset_dir == "data"
        await pilot.press("c")
        await until(pilot, lambda: "3 of 3 rows are used" in screen_text(app), 60)
