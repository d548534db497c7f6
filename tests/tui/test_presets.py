"""The Presets screen, used through its keys in the real app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from trainer.config import list_presets, load_preset, save_preset
from trainer.paths import user_presets_folder
from trainer.run import list_runs
from tui.app import TrimtabApp
from tui.screens.presets import PresetsScreen
from tui.screens.review import ReviewScreen
from tui.screens.setup import SetupScreen


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.setup.PREFLIGHT_DELAY", 3600.0)

    async def nothing(_values: object) -> tuple[()]:
        return ()

    monkeypatch.setattr("tui.screens.review.ask_preflight", nothing)


@asynccontextmanager
async def presets_open(size: tuple[int, int] = (100, 30)) -> AsyncIterator[tuple[PresetsScreen, Pilot[int]]]:
    app = TrimtabApp(screen="presets")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, PresetsScreen)
        yield app.screen, pilot


def shown(pilot: Pilot[int]) -> str:
    return "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())


async def go_to(pilot: Pilot[int], name: str) -> None:
    names = [info.name for info in list_presets()]
    await pilot.press("home", *["j"] * names.index(name))
    await pilot.pause()


async def test_shipped_and_own_presets_are_listed_with_what_they_are_for() -> None:
    save_preset("mine", {"lora": {"lora_rank": 4}}, extends="demo", description="A small one")
    async with presets_open() as (_screen, pilot):
        rows = shown(pilot).splitlines()
        assert any("mine" in row and "you" in row and "A small one" in row for row in rows)
        assert any("sft-lora" in row and "trimtab" in row for row in rows)


async def test_a_broken_preset_shows_its_error_and_is_not_opened() -> None:
    user_presets_folder().mkdir(parents=True)
    (user_presets_folder() / "bad.toml").write_text("[lora]\nlora_rnak = 3\n")
    async with presets_open() as (_screen, pilot):
        await go_to(pilot, "bad")
        assert "! bad" in shown(pilot)
        assert "lora_rank" in shown(pilot)
        await pilot.press("o", "t")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PresetsScreen)
        await pilot.press("e")
        await pilot.pause()
        assert "lora_rnak = 3" in shown(pilot)


async def test_enter_opens_a_preset_in_setup() -> None:
    async with presets_open() as (_screen, pilot):
        await go_to(pilot, "sft-lora")
        await pilot.press("enter")
        await pilot.pause()
        await pilot.pause()
        assert isinstance(pilot.app.screen, SetupScreen)
        assert pilot.app.screen.model.preset is not None
        assert pilot.app.screen.model.preset.name == "sft-lora"


async def test_train_goes_through_the_review_page_and_back() -> None:
    async with presets_open() as (_screen, pilot):
        await go_to(pilot, "demo")
        await pilot.press("t")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ReviewScreen)
        assert "nothing: the preset as it is" in shown(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PresetsScreen)
        assert list_runs() == []


async def test_duplicate_then_delete_after_a_question() -> None:
    async with presets_open() as (screen, pilot):
        await go_to(pilot, "demo")
        await pilot.press("d")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert load_preset("my-demo").recipe == load_preset("demo").recipe
        assert screen.selected is not None
        assert screen.selected.name == "my-demo"
        await pilot.press("x")
        await pilot.pause()
        await pilot.press("n")
        await pilot.pause()
        assert "my-demo" in [info.name for info in list_presets()]
        await pilot.press("delete")
        await pilot.pause()
        await pilot.press("y")
        await pilot.pause()
        assert "my-demo" not in [info.name for info in list_presets()]
        assert "my-demo" not in [info.name for info in screen._presets]


async def test_shipped_presets_cannot_be_deleted() -> None:
    async with presets_open() as (_screen, pilot):
        await go_to(pilot, "demo")
        await pilot.press("x")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PresetsScreen)
        assert "demo" in [info.name for info in list_presets()]


async def test_the_language_switches_live() -> None:
    async with presets_open() as (_screen, pilot):
        await pilot.press("L")
        await pilot.pause()
        assert "用途" in shown(pilot)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (20, 10), (1, 1)])
async def test_every_size_is_drawn(size: tuple[int, int]) -> None:
    async with presets_open(size) as (_screen, pilot):
        await pilot.press("j", "e")
        await pilot.pause()
        await pilot.press("escape", "d")
        await pilot.pause()
        shown(pilot)


async def test_a_llamafactory_file_is_imported_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "theirs.yaml"
    file.write_text("stage: sft\ndo_train: true\nlora_rank: 5\noverwrite_output_dir: true\nlora_rnk: 3\n")
    async with presets_open() as (screen, pilot):
        await pilot.press("i")
        await pilot.pause()
        await pilot.press(*str(tmp_path / "nothing.yaml"))
        await pilot.pause()
        assert "no such .yaml" in shown(pilot)
        pilot.app.screen.query_one(Input).value = str(file)
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        rows = shown(pilot)
        assert "lora_rank = 5" in rows
        assert "lora_rnk: LLaMA-Factory and trimtab know no such setting" in rows
        assert "overwrite_output_dir is not taken over" in rows
        await pilot.press("escape")
        await pilot.pause()
        assert screen.selected is not None
        assert screen.selected.name == "theirs"
    assert load_preset("theirs").recipe.lora.lora_rank == 5
