"""Choosing the model in Setup, and agreeing to the code of one, through their keys in the real app."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from tests.code_model import CONFIGURATION, MODELING
from tests.trainer.data.conftest import write_safetensors
from tests.tui.cockpit_world import speaking, until
from tests.tui.test_setup import found_nothing, setup_open, shown, type_text
from trainer.config import Finding, Recipe
from trainer.data.python_file import reward_file_finding
from trainer.data.remote_code import has_consent, model_code
from trainer.run import create_run
from tui.forms.model_choices import find_models
from tui.widgets.base_model_picker import BaseModelPicker
from tui.widgets.code_consent import CodeConsent
from tui.widgets.confirmation import Confirmation

MODEL = "model.model_name_or_path"


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one model of the user's, one downloaded one, and no check of the data."""
    monkeypatch.setattr("tui.screens.setup.PREFLIGHT_DELAY", 3600.0)
    found_nothing(monkeypatch)
    for name in ("HF_HUB_CACHE", "USE_MODELSCOPE_HUB", "MODELSCOPE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    make_model(tmp_path / "stuff" / "mine")
    base = tmp_path / "hf" / "hub" / "models--Qwen--Qwen3-0.6B"
    make_model(base / "snapshots" / "abc")
    (base / "refs").mkdir()
    (base / "refs" / "main").write_text("abc")
    return tmp_path


def make_model(folder: Path, **config: object) -> Path:
    """A folder that is a model as far as one can see from outside."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    write_safetensors(folder / "model.safetensors")
    return folder


async def open_picker(pilot: object, setup: object) -> OptionList:
    """Open the dialog and wait until it has looked."""
    setup.form.go_to(MODEL)  # type: ignore[attr-defined]
    await pilot.press("enter")  # type: ignore[attr-defined]
    app = pilot.app  # type: ignore[attr-defined]
    await until(pilot, lambda: isinstance(app.screen, BaseModelPicker) and not app.screen._reading)  # type: ignore[arg-type]
    return app.screen.query_one(OptionList)  # type: ignore[no-any-return]


def prompts(options: OptionList) -> list[str]:
    """What the rows say."""
    return [str(option.prompt).strip() for option in options.options]


def test_what_is_offered_in_which_order() -> None:
    create_run_of("me/recent")
    choices = find_models()
    assert [(choice.path, choice.is_here) for choice in choices[:4]] == [
        ("me/recent", False), ("shipped:demo_model", True), ("./stuff/mine", True), ("Qwen/Qwen3-0.6B", True)
    ]  # fmt: skip
    known = {choice.path: choice for choice in choices}
    assert known["Qwen/Qwen3-8B"].group == "Qwen3"
    assert known["Qwen/Qwen3-8B"].bytes == pytest.approx(16.4e9)
    again = [choice for choice in choices if choice.path == "Qwen/Qwen3-0.6B"]
    assert [choice.group for choice in again] == ["Downloaded", "Qwen3"]
    scope = {choice.path for choice in find_models("modelscope")}
    assert "LLM-Research/Meta-Llama-3.1-8B-Instruct" in scope
    assert not any(path.startswith("meta-llama/") for path in scope)


def create_run_of(name: str) -> None:
    """A run that was made with this model."""
    from trainer.config import Hardware, Recipe, resolve

    recipe = Recipe().with_values({MODEL: name, "data.dataset": ["identity"]})
    create_run("demo", resolve(recipe, Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)), name="one")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_typing_filters_and_enter_takes(size: tuple[int, int]) -> None:
    async with setup_open(size) as (setup, pilot):
        options = await open_picker(pilot, setup)
        rows = prompts(options)
        assert rows[0] == "Folders on this machine"
        assert rows[1].startswith("* shipped:demo_model")
        assert rows[1].endswith("here")
        assert all(len(row) <= size[0] for row in rows)
        await type_text(pilot, "llama 3")
        await pilot.press("minus", "backspace")
        await pilot.pause()
        assert prompts(options)[0] == "Llama 3.2"
        assert "gated: needs HF_TOKEN" in shown(pilot)
        await pilot.press("down", "enter")
        await pilot.pause()
        assert setup.model.value(MODEL) == "meta-llama/Llama-3.2-3B-Instruct"
        await pilot.press("u")
        assert setup.model.value(MODEL) == "shipped:demo_model"


@pytest.mark.parametrize("typed", ["someone/new-model", "./stuff/mine", "/anywhere/model"])
async def test_a_name_or_path_that_is_typed(typed: str) -> None:
    async with setup_open() as (setup, pilot):
        await open_picker(pilot, setup)
        pilot.app.screen.query_one(Input).value = typed
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert setup.model.value(MODEL) == typed


async def test_escape_changes_nothing_and_chinese_is_chinese() -> None:
    async with setup_open((80, 24)) as (setup, pilot):
        with speaking("zh"):
            options = await open_picker(pilot, setup)
            assert "要微调的模型" in shown(pilot)
            assert prompts(options)[0] == "本机文件夹"
            assert "本机" in prompts(options)[1]
            await pilot.press("escape")
            await pilot.pause()
        assert not setup.model.changes


async def test_what_belonged_to_the_other_model_is_offered_to_go() -> None:
    async with setup_open() as (setup, pilot):
        setup.model.set_many({"data.template": "llama3", "model.model_revision": "v1"})
        await open_picker(pilot, setup)
        await type_text(pilot, "phi-4")
        await pilot.press("enter")
        await pilot.pause()
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirmation))
        await pilot.pause()
        assert "template = llama3, model_revision = v1" in shown(pilot)
        await pilot.press("y")
        await pilot.pause()
        assert setup.model.value(MODEL) == "microsoft/phi-4"
        assert setup.model.value("data.template") is None
        assert setup.model.value("model.model_revision") == "main"


async def test_a_file_of_rewards_is_shown_and_agreed_to(own_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = own_world / "mine.py"
    file.write_text("def reward(prompt, answer, expected):\n    return len(answer)\n")
    reward = {"reward.reward_funcs": ["python"], "reward.reward_file": str(file)}
    recipe = Recipe().with_values({"method.stage": "grpo", **reward})
    told = reward_file_finding(recipe)
    assert told is not None
    found_nothing(monkeypatch, told)
    monkeypatch.setattr("tui.screens.setup.PREFLIGHT_DELAY", 0.01)
    async with setup_open((80, 24)) as (setup, pilot):
        setup.form.take({"method.stage": "grpo", **reward})
        await until(pilot, lambda: any(found.id == "reward_file_unknown" for found in setup.model.findings))
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, CodeConsent))
        await pilot.pause()
        assert "    return len(answer)" in shown(pilot)
        found_nothing(monkeypatch)
        await pilot.press("y")
        await pilot.pause()
        assert reward_file_finding(recipe) is None
        assert setup.model.value("model.trust_remote_code") is False
        await until(pilot, lambda: not setup.check_action("trust", ()))
    file.write_text("def reward(*_):\n    return 2\n")
    changed = reward_file_finding(recipe)
    assert changed is not None
    assert changed.id == "reward_file_changed"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_code_is_shown_and_agreed_to(
    own_world: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    folder = make_model(own_world / "own", auto_map={"AutoConfig": "configuration_own.OwnConfig"})
    (folder / "config.json").write_text(
        json.dumps({"model_type": "own_llama", "auto_map": {"AutoConfig": "configuration_own.OwnConfig"}})
    )
    (folder / "configuration_own.py").write_text(CONFIGURATION)
    (folder / "modeling_own.py").write_text(MODELING)
    code = model_code(folder)
    assert code is not None
    fields = ("model.trust_remote_code", MODEL)
    found_nothing(monkeypatch, Finding("model_code_unknown", "error", fields, "brings its own code", {}))
    monkeypatch.setattr("tui.screens.setup.PREFLIGHT_DELAY", 0.01)
    async with setup_open(size) as (setup, pilot):
        setup.form.take({MODEL: "./own"})
        await until(pilot, lambda: bool(setup.model.errors))
        await pilot.pause()
        assert "t its code" in shown(pilot).splitlines()[-1]
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, CodeConsent))
        await pilot.pause()
        assert "modeling_own.py" in shown(pilot)
        assert "config.json: AutoConfig = configuration_own.OwnConfig" in shown(pilot)
        await pilot.press("enter", "escape")
        await pilot.pause()
        assert not has_consent(code)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, CodeConsent))
        found_nothing(monkeypatch)
        await pilot.press("y")
        await pilot.pause()
        assert has_consent(code)
        assert setup.model.value("model.trust_remote_code") is True
        await until(pilot, lambda: not setup.model.errors)
        assert not setup.check_action("trust", ())
