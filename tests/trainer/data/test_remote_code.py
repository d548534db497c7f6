"""Code that comes with a model: what is shown of it, and that a consent holds for these very files alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.code_model import CONFIGURATION, MODELING
from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.config import Recipe
from trainer.data import preflight
from trainer.data.python_file import python_file
from trainer.data.remote_code import (
    code_finding,
    consents_file,
    give_consent,
    has_consent,
    model_code,
    runs_code,
    withdraw_consent,
)
from trainer.errors import UserError

AUTO_MAP = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}


@pytest.fixture
def folder(make_model: MakeModel) -> Path:
    """A model of a kind that transformers does not know."""
    made = make_model()
    configure(made, "own_llama")
    (made / "configuration_own.py").write_text(CONFIGURATION)
    (made / "modeling_own.py").write_text(MODELING)
    return made


def configure(folder: Path, model_type: str, auto_map: dict[str, str] = AUTO_MAP) -> None:
    """Write config.json."""
    (folder / "config.json").write_text(json.dumps({"model_type": model_type, "auto_map": auto_map}))


def finding_id(folder: Path, *, trust: bool | None) -> str | None:
    """What stands against the model."""
    found = code_finding(folder, name="m", trust=trust)
    return found.id if found else None


def agree(folder: Path, name: str = "m") -> None:
    """Agree to the code of a folder."""
    code = model_code(folder)
    assert code is not None
    give_consent(code, name)


def test_what_is_shown(folder: Path) -> None:
    code = model_code(folder)
    assert code is not None
    assert [(file.name, file.size) for file in code.files] == [
        ("configuration_own.py", len(CONFIGURATION)), ("modeling_own.py", len(MODELING))
    ]  # fmt: skip
    assert code.named_in[0] == "config.json: AutoConfig = configuration_own.OwnConfig"
    assert code.is_needed
    assert not has_consent(code)


def test_a_model_without_code_needs_nothing(make_model: MakeModel) -> None:
    made = make_model()
    (made / "train.py").write_text("print('not asked for by the configuration')")
    assert model_code(made) is None
    assert not runs_code(made, name="m", trust=True)


def test_it_runs_only_with_both_the_setting_and_the_consent(folder: Path) -> None:
    assert [finding_id(folder, trust=trust) for trust in (False, True, None)] == ["model_code_unknown"] * 3
    with pytest.raises(UserError, match=r"trust_remote_code: m brings its own code \(2 files\).*`trimtab trust m`"):
        runs_code(folder, name="m", trust=True)
    agree(folder)
    assert finding_id(folder, trust=False) == "model_code_off"
    assert runs_code(folder, name="m", trust=True)
    assert runs_code(folder, name="m", trust=None)


@pytest.mark.parametrize("change", ["edited", "added", "renamed"])
def test_code_that_changes_asks_again(folder: Path, change: str) -> None:
    agree(folder)
    file = folder / "modeling_own.py"
    if change == "edited":
        file.write_text(MODELING + "\n# one line more\n")
    elif change == "added":
        (folder / "more").mkdir()
        (folder / "more" / "helper.py").write_text("")
    else:
        file.rename(folder / "modeling_other.py")
    found = code_finding(folder, name="m", trust=True)
    assert found is not None
    assert found.id == "model_code_changed"
    assert not found.change


def test_the_same_code_beside_other_weights_is_known(folder: Path, tmp_path: Path) -> None:
    agree(folder)
    other = tmp_path / "other"
    folder.rename(other)
    (other / "model.safetensors").unlink()
    assert runs_code(other, name="other", trust=True)


def test_a_consent_can_be_withdrawn(folder: Path) -> None:
    agree(folder)
    code = model_code(folder)
    assert code is not None
    assert withdraw_consent(code)
    assert not withdraw_consent(code)
    assert not has_consent(code)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("def reward(*_): return 1", "reward_file_unknown"),
        ("def reward(", "mine.py:1: this is no Python"),
        ("\0", "this is no Python"),
        (None, "the file cannot be read"),
    ],
)
def test_a_check_tells_of_a_file_of_rewards(tmp_path: Path, content: str | None, told: str) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_text(content)
    reward = {"reward.reward_funcs": ["python"], "reward.reward_file": str(file)}
    findings = preflight(Recipe().with_values({"method.stage": "grpo", **reward}))
    (found,) = [each for each in findings if each.fields == ("reward.reward_file",)]
    assert found.severity == "error"
    assert told in (found.id, found.text) or told in found.text
    if told == "reward_file_unknown":
        give_consent(python_file(file)[0], "elsewhere")
    elsewhere = Recipe().with_values({"method.stage": "sft", **reward})
    for recipe in (elsewhere, *([Recipe().with_values({"method.stage": "ppo", **reward})] if found.id == told else [])):
        assert not any("reward_file" in each.id for each in preflight(recipe))


def test_a_damaged_list_of_consents_gives_none(folder: Path) -> None:
    agree(folder)
    consents_file().write_text('{"consents": [1, {"digest"')
    assert finding_id(folder, trust=True) == "model_code_unknown"


def test_a_kind_that_transformers_knows_is_used_without_its_code(folder: Path) -> None:
    configure(folder, "llama")
    assert finding_id(folder, trust=False) is None
    assert not runs_code(folder, name="m", trust=False)
    assert not runs_code(folder, name="m", trust=None)
    found = code_finding(folder, name="m", trust=True)
    assert found is not None
    assert (found.id, found.change) == ("model_code_not_needed", {"model.trust_remote_code": False})
    agree(folder)
    assert runs_code(folder, name="m", trust=True)


def test_code_of_another_repository_is_never_fetched(folder: Path) -> None:
    configure(folder, "own_llama", {"AutoConfig": "someone/else--configuration_own.OwnConfig"})
    agree(folder)
    with pytest.raises(UserError, match=r"takes code from another repository \(someone/else\)"):
        runs_code(folder, name="m", trust=True)


def test_the_preflight_tells(folder: Path, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(folder, [dialogue("A", "B")])
    found = {each.id: each for each in preflight(recipe)}
    assert found["model_code_unknown"].fields == ("model.trust_remote_code", "model.model_name_or_path")
    agree(folder)
    [off] = [each for each in preflight(recipe) if each.severity == "error"]
    assert preflight(recipe.with_values(off.change))[-1].id == "data_rows"
