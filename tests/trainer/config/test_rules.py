"""Every rule: what sets it off, what it says, and that its proposed change mends it."""

import string
import tomllib
from pathlib import Path

import pytest

from tests.trainer.config.rule_cases import CASES, TWO_GPUS, Case
from trainer.config import Finding, Recipe, check
from trainer.config.llamafactory import IMPORT_TEXTS
from trainer.config.rules import MESSAGES
from trainer.data.findings import FINDING_TEXTS
from trainer.run.messages import RUN_TEXTS

SOUND = Recipe().with_values({"model.model_name_or_path": "some/model", "data.dataset": ["identity"]})
CHINESE = Path(__file__).resolve().parents[3] / "tui/locale/zh/findings.toml"


def findings(broken: Case) -> list[Finding]:
    found = check(SOUND.with_values(broken.values), broken.hardware)
    return [each for each in found if each.id == broken.rule]


@pytest.mark.parametrize("broken", CASES, ids=lambda each: each.rule)
def test_rule_speaks_up_and_names_fields_of_the_definition(broken: Case) -> None:
    found = findings(broken)
    assert any(broken.text in each.text for each in found), [each.text for each in found]
    for each in found:
        assert each.text == MESSAGES[each.id].format(**each.values)
        assert each.fields
        for key in each.fields:
            assert key.startswith("trainer.") or Recipe().value(key) is not NotImplemented


@pytest.mark.parametrize("broken", CASES, ids=lambda each: each.rule)
def test_proposed_change_mends_what_the_rule_found(broken: Case) -> None:
    recipe = SOUND.with_values(broken.values)
    for each in findings(broken):
        if each.change:
            mended = check(recipe.with_values(each.change), broken.hardware)
            assert (each.id, each.fields) not in [(other.id, other.fields) for other in mended]


def test_every_rule_is_tested() -> None:
    assert {each.rule for each in CASES} == set(MESSAGES)


def test_a_sound_recipe_has_no_findings() -> None:
    assert check(SOUND) == []
    assert check(SOUND, TWO_GPUS) == []


def test_errors_come_first_and_a_refused_value_is_not_also_called_idle() -> None:
    values = {"method.finetuning_type": "full", "lora.use_dora": True, "lora.lora_rank": 16, "data.val_size": 0.1}
    found = check(SOUND.with_values(values))
    assert [each.severity for each in found] == sorted(
        (each.severity for each in found), key=["error", "warning", "info"].index
    )
    assert "has_no_effect" not in [each.id for each in found if each.fields[0] == "lora.use_dora"]


def test_every_text_has_its_chinese_one_with_the_same_placeholders() -> None:
    chinese = tomllib.loads(CHINESE.read_text(encoding="utf-8"))
    assert {rule: placeholders(text) for rule, text in chinese.items()} == {
        rule: placeholders(text) for rule, text in {**MESSAGES, **FINDING_TEXTS, **RUN_TEXTS, **IMPORT_TEXTS}.items()
    }


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
