"""Setup and the review page, used through their keys in the real app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tests.trainer.run.fake_trainer import write_run
from tests.tui.cockpit_world import until
from trainer.config import Finding, list_presets, load_preset
from trainer.run import RunDirectory, list_runs
from tui.app import TrimtabApp
from tui.forms.summary import command_line
from tui.screens.review import ReviewScreen
from tui.screens.setup import SetupScreen
from tui.widgets.field_editor import ChoiceList, FieldEditor
from tui.widgets.form import Form
from tui.widgets.section_bar import SectionBar


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """No check of model and data unless the test asks for it."""
    monkeypatch.setattr("tui.screens.setup.PREFLIGHT_DELAY", 3600.0)
    found_nothing(monkeypatch)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[RunDirectory]:
    """The runs whose trainer would have been started."""
    started: list[RunDirectory] = []
    monkeypatch.setattr("tui.screens.review.launch", lambda run: started.append(run) or 1)
    monkeypatch.setattr(TrimtabApp, "open_run", lambda app, path: app.exit(0, message=str(path)))
    return started


def found_nothing(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    """Let the check of model and data answer with `findings`."""

    async def answer(_values: object) -> tuple[Finding, ...]:
        return findings

    monkeypatch.setattr("tui.screens.review.ask_preflight", answer)
    monkeypatch.setattr("tui.screens.setup.ask_preflight", answer)


@asynccontextmanager
async def setup_open(size: tuple[int, int] = (120, 40)) -> AsyncIterator[tuple[SetupScreen, Pilot[int]]]:
    """The app with Setup in front."""
    app = TrimtabApp(screen="setup")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, SetupScreen)
        yield app.screen, pilot


def shown(pilot: Pilot[int]) -> str:
    """What stands on the screen."""
    return "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())


async def type_text(pilot: Pilot[int], words: str) -> None:
    """Type letter by letter."""
    names = {" ": "space", "-": "minus", "_": "underscore", ".": "full_stop", ",": "comma"}
    await pilot.press(*[names.get(letter, letter) for letter in words])


async def enter_value(pilot: Pilot[int], words: str) -> None:
    """Open the editor of the field under the cursor, replace its text, commit."""
    await pilot.press("enter")
    await pilot.pause()
    pilot.app.screen.query_one(FieldEditor).query_one(Input).value = ""
    await type_text(pilot, words)
    await pilot.press("enter")
    await pilot.pause()


async def test_a_change_through_the_keys_reaches_the_run_directory(launched: list[RunDirectory]) -> None:
    async with setup_open() as (setup, pilot):
        setup.form.go_to("lora.lora_rank")
        await enter_value(pilot, "16")
        assert setup.model.changes == {"lora.lora_rank": 16}
        assert "was 8" in shown(pilot)
        assert "trimtab train demo lora_rank=16" in shown(pilot).replace("\n", " ")
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ReviewScreen)
        page = shown(pilot)
        assert "lora_rank  8  →  16" in page
        assert "twice lora_rank 16" in page
        assert launched == []
        await pilot.press("enter")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert [run.name for run in launched] == ["demo-1"]
        assert list_runs()[0].recipe().lora.lora_rank == 16
        assert list_runs()[0].recipe().lora.lora_alpha == 32
        assert pilot.app._exit, "the dashboard of the run was not asked for"


async def test_enter_in_a_field_starts_nothing(launched: list[RunDirectory]) -> None:
    async with setup_open() as (setup, pilot):
        setup.form.go_to("train.learning_rate")
        await pilot.press("enter", "enter", "enter", "enter", "ctrl+r")
        await pilot.pause()
        assert launched == []
        assert list_runs() == []


async def test_a_burst_of_keys_acts_in_the_order_in_which_it_was_typed() -> None:
    async with setup_open() as (setup, pilot):
        burst = "l l enter backspace 1 6 enter j enter 3 2 enter l l j enter backspace 4 enter"
        for key in burst.split():
            pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: len(setup.model.changes) == 3 and not setup.form.typing)
        assert setup.model.changes == {"lora.lora_rank": 16, "lora.lora_alpha": 32, "train.learning_rate": 0.004}
        assert pilot.app.screen is setup


async def test_a_wrong_value_is_refused_with_the_limits_and_escape_keeps_the_old_one() -> None:
    async with setup_open() as (setup, pilot):
        setup.form.go_to("lora.lora_rank")
        await enter_value(pilot, "0")
        assert "expected an integer from 1 to" in shown(pilot)
        assert setup.query(FieldEditor)
        await pilot.press("escape")
        await pilot.pause()
        assert not setup.query(FieldEditor)
        assert setup.model.value("lora.lora_rank") == 8
        await pilot.press("j")
        assert setup.form.fields.key == "lora.lora_alpha"


async def test_search_reset_and_undo() -> None:
    async with setup_open() as (setup, pilot):
        await pilot.press("slash")
        await type_text(pilot, "lr")
        await pilot.pause()
        assert "learning_rate" in shown(pilot)
        await pilot.press("enter")
        assert setup.form.fields.key == "train.learning_rate"
        await enter_value(pilot, "2e-4")
        assert setup.model.value("train.learning_rate") == 2e-4
        await pilot.press("r")
        assert not setup.model.changes
        await pilot.press("u")
        assert setup.model.value("train.learning_rate") == 2e-4
        await pilot.press("escape")
        await pilot.pause()
        assert not setup.form.searching
        assert setup.form.fields.key == "train.learning_rate"


async def test_switches_choices_and_sections_by_key() -> None:
    async with setup_open() as (setup, pilot):
        setup.form.go_to("generation.do_sample")
        before = setup.model.value("generation.do_sample")
        await pilot.press("space")
        assert setup.model.value("generation.do_sample") is not before
        setup.form.go_to("method.finetuning_type")
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        assert setup.model.value("method.finetuning_type") == "freeze"
        assert "Freeze" in shown(pilot)
        assert "LoRA" not in shown(pilot).splitlines()[5]
        await pilot.press("l")
        assert setup.form.section == "data"
        await pilot.press("left", "h")
        assert setup.form.section == "model"


async def test_what_is_not_available_yet_is_dim_and_cannot_be_opened() -> None:
    async with setup_open() as (setup, pilot):
        setup.form.go_to("ray.ray_num_workers")
        assert "not available yet" in shown(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert not setup.query(FieldEditor)


async def test_tiers_and_changed_only() -> None:
    async with setup_open() as (setup, pilot):
        setup.form.go_to("train.learning_rate")
        basic = len(setup.form.fields.lines)
        await pilot.press("a", "a")
        assert len(setup.form.fields.lines) > basic
        await pilot.press("a")
        assert len(setup.form.fields.lines) == basic
        await enter_value(pilot, "1e-3")
        await pilot.press("d")
        assert [line.key for line in setup.form.fields.lines] == ["train.learning_rate"]


async def test_the_language_switches_live() -> None:
    async with setup_open() as (setup, pilot):
        setup.form.go_to("lora.lora_rank")
        await pilot.press("L")
        await pilot.pause()
        assert "模型" in shown(pilot)
        assert "本次运行" in shown(pilot)
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert "自动选择" in shown(pilot)
        await pilot.press("L", "escape")
        await pilot.pause()
        assert "This run" in shown(pilot)


async def test_an_error_blocks_the_start_until_its_change_is_made(
    monkeypatch: pytest.MonkeyPatch, launched: list[RunDirectory]
) -> None:
    wrong = Finding("x", "error", ("data.cutoff_len",), "all labels are masked", {}, {"data.cutoff_len": 256})
    found_nothing(monkeypatch, wrong)
    async with setup_open() as (_setup, pilot):
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert "all labels are masked" in shown(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert launched == []
        assert isinstance(pilot.app.screen, ReviewScreen)
        assert "f makes the proposed change" in shown(pilot)
        assert "f fix" in shown(pilot).splitlines()[-1]
        found_nothing(monkeypatch)
        await pilot.press("f")
        await pilot.pause()
        assert "f fix" not in shown(pilot).splitlines()[-1]
        assert "cutoff_len  512  →  256" in shown(pilot)
        await pilot.press("enter")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert [run.recipe().data.cutoff_len for run in launched] == [256]


async def test_a_name_that_is_taken_is_said_and_starts_nothing(launched: list[RunDirectory], tmp_path: Path) -> None:
    (tmp_path / "runs" / "taken").mkdir(parents=True)
    (tmp_path / "runs" / "taken" / "run.json").write_text("{}")
    async with setup_open() as (setup, pilot):
        setup.model.set("train.run_name", "taken")
        await pilot.press("ctrl+r")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert "taken exists" in str(pilot.app.screen.query_one("#review-answer", Static).content)
        assert launched == []


async def test_the_background_check_fills_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.setup.PREFLIGHT_DELAY", 0.01)
    rows = Finding("data_rows", "info", (), "180 rows", {"train_rows": 180})
    bad = Finding("bad", "error", ("data.dataset",), "data.json:3: no answer", {}, {"data.on_bad_row": "skip"})
    found_nothing(monkeypatch, rows, bad)
    async with setup_open() as (setup, pilot):
        await pilot.pause(0.2)
        assert "rows         180" in shown(pilot)
        setup.form.go_to("data.dataset")
        await pilot.pause()
        assert "data.json:3: no answer" in shown(pilot)
        assert "1!" in shown(pilot)
        await pilot.press("f")
        assert setup.model.value("data.on_bad_row") == "skip"


async def test_saving_overwriting_and_loading_presets() -> None:
    async with setup_open() as (setup, pilot):
        setup.model.set("lora.lora_rank", 16)
        await pilot.press("ctrl+s")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert load_preset("my-demo").recipe.lora.lora_rank == 16
        assert setup.model.preset is not None
        assert setup.model.preset.name == "my-demo"
        setup.model.set("lora.lora_rank", 32)
        await pilot.press("ctrl+s")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert "Enter again replaces it" in shown(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert load_preset("my-demo").recipe == setup.model.recipe
        assert load_preset("my-demo").recipe.lora.lora_rank == 32
        await pilot.press("ctrl+o")
        await pilot.pause()
        names = [info.name for info in list_presets() if not info.parts]
        await pilot.press("home", *["down"] * names.index("sft-lora"), "enter")
        await pilot.pause()
        assert setup.model.preset.name == "sft-lora"


async def test_a_preset_is_found_by_typing_or_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('extends = "demo"\n[lora]\nlora_rank = 4\n')
    async with setup_open() as (setup, pilot):
        await pilot.press("ctrl+o")
        await pilot.pause()
        await type_text(pilot, "sft-fu")
        await pilot.press("enter")
        await pilot.pause()
        assert setup.model.preset is not None
        assert setup.model.preset.name == "sft-full"
        await pilot.press("ctrl+o")
        await pilot.pause()
        pilot.app.screen.query_one("#pick-text", Input).value = str(file)
        await pilot.press("enter")
        await pilot.pause()
        assert setup.model.preset.path == file
        assert setup.model.value("lora.lora_rank") == 4
        assert f"trimtab train {file}" in command_line(setup.model)


async def test_data_files_of_the_folder_are_offered_and_narrowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sums.jsonl", "words.json", "notes.txt"):
        (tmp_path / name).write_text("[]")
    async with setup_open() as (setup, pilot):
        setup.form.go_to("data.dataset")
        await pilot.press("enter")
        await pilot.pause()
        choices = setup.query_one(FieldEditor).query_one(ChoiceList)
        assert {"sums.jsonl", "words.json"} <= {option.id for option in choices.options}
        setup.query_one(FieldEditor).query_one(Input).value = "identity, sum"
        await pilot.pause()
        assert [option.id for option in choices.options] == ["sums.jsonl"]
        await pilot.press("down", "enter")
        await pilot.pause()
        assert setup.model.value("data.dataset") == ["identity", "sums.jsonl"]


async def test_the_sets_that_fit_the_stage_are_offered_first_and_the_others_say_why() -> None:
    async with setup_open() as (setup, pilot):
        setup.model.set("method.stage", "rm")
        setup.form.go_to("data.dataset")
        await pilot.press("enter")
        await pilot.pause()
        choices = setup.query_one(FieldEditor).query_one(ChoiceList)
        # The worker reads their rows meanwhile.
        await until(pilot, lambda: any("only for" in str(option.prompt) for option in choices.options))
        offered = {str(option.id): str(option.prompt) for option in choices.options}
        assert list(offered)[:2] == ["demo_preference", "preference_sample"]
        assert offered["demo_kto"] == "! demo_kto  only for kto"
        assert offered["identity"] == "! identity  only for sft, ppo, grpo, rloo"


async def test_the_section_of_adapters_is_called_lora_only_where_the_adapter_is_one() -> None:
    async with setup_open() as (setup, pilot):
        assert " LoRA " in shown(pilot)
        setup.form.take({"method.finetuning_type": "oft"})
        await pilot.pause()
        first_rows = "\n".join(shown(pilot).splitlines()[:12])
        assert "LoRA" not in first_rows
        assert "Adapter" in first_rows


async def test_reward_models_that_were_trained_here_are_offered(runs_folder: Path) -> None:
    run = write_run(runs_folder / "judge", steps=20)
    recipe = run.recipe_file.read_text().replace('stage = "sft"', 'stage = "rm"')
    run.recipe_file.write_text(recipe)
    write_run(runs_folder / "talker", steps=20)
    async with setup_open() as (setup, pilot):
        setup.form.take({"method.stage": "ppo"})
        setup.form.go_to("ppo.reward_model")
        await pilot.press("enter")
        await pilot.pause()
        choices = setup.query_one(FieldEditor).query_one(ChoiceList)
        offered = [str(option.id) for option in choices.options]
        assert [Path(one).parts[-3:] for one in offered] == [("judge", "checkpoints", "step-00000020")]


async def test_sections_that_stages_share_are_called_by_what_they_hold() -> None:
    async with setup_open(size=(120, 40)) as (setup, pilot):
        for stage, titles in (("ppo", {"PPO", "Rewards"}), ("rloo", {"Reward model", "RLOO", "Rewards"})):
            setup.form.take({"method.stage": stage})
            await pilot.pause()
            shown_titles = {tab.title for tab in setup.query_one(SectionBar).tabs}
            assert titles <= shown_titles
            assert ("PPO" in shown_titles) == (stage == "ppo")


async def test_loading_another_preset_asks_before_it_drops_changes() -> None:
    async with setup_open() as (setup, pilot):
        setup.model.set("lora.lora_rank", 16)
        pilot.app.open_setup("sft-lora")
        await pilot.pause()
        assert "drops them" in shown(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert setup.model.value("lora.lora_rank") == 16
        pilot.app.open_setup("sft-lora")
        await pilot.pause()
        await pilot.press("enter")  # pressed too easily: it drops nothing
        assert setup.model.value("lora.lora_rank") == 16
        await pilot.press("y")
        await pilot.pause()
        assert setup.model.preset is not None
        assert setup.model.preset.name == "sft-lora"


async def test_a_shipped_preset_is_not_replaced() -> None:
    async with setup_open() as (_setup, pilot):
        await pilot.press("ctrl+s")
        await pilot.pause()
        pilot.app.screen.query_one("#save-name", Input).value = "demo"
        await pilot.press("enter")
        await pilot.pause()
        assert "cannot be replaced" in shown(pilot)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (20, 10), (1, 1)])
async def test_every_size_is_drawn_and_every_row_fits(size: tuple[int, int]) -> None:
    async with setup_open(size) as (setup, pilot):
        await pilot.press("a", "a", "j", "enter")
        await pilot.pause()
        await pilot.press("escape", "l", "l", "l", "pagedown", "G", "enter")
        await pilot.pause()
        await pilot.press("escape", "slash", "r")
        await pilot.pause()
        assert all(len(line) <= size[0] for line in shown(pilot).splitlines() if line.isascii())
        await pilot.press("escape", "ctrl+r")
        await pilot.pause()
        shown(pilot)
        assert setup.query_one(Form)


async def test_resizing_moves_between_strips_and_columns() -> None:
    async with setup_open((80, 24)) as (setup, pilot):
        setup.form.go_to("lora.lora_rank")
        await pilot.pause()
        assert "Width of the added matrices" in shown(pilot)
        assert "This run" not in shown(pilot)
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert "This run" in shown(pilot)
        assert setup.form.fields.key == "lora.lora_rank"
