"""The list of parameters: frozen, documented in both languages, and true to what transformers calls things."""

import ast
import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from trainer.config import Recipe, applies, parameter, parameters
from trainer.config.tables.names import OPTIMIZERS, SCHEDULES
from trainer.errors import UserError

FROZEN = Path(__file__).with_name("parameters.txt")
ROOT = Path(__file__).resolve().parents[3]


def listing() -> list[str]:
    return [f"{each.key} = {json.dumps(each.default)}" for each in parameters()]


def test_no_parameter_appears_vanishes_or_changes_its_default_by_accident() -> None:
    """When the change is wanted: write `listing()` into parameters.txt."""
    assert listing() == FROZEN.read_text(encoding="utf-8").splitlines()


def test_every_parameter_has_help() -> None:
    assert [each.key for each in parameters() if len(each.help) < 10 or not each.help.endswith((".", ")"))] == []


def test_every_parameter_has_help_in_chinese_and_nothing_else_has() -> None:
    catalogue = tomllib.loads((ROOT / "tui/locale/zh/parameters.toml").read_text(encoding="utf-8"))
    assert sorted(catalogue) == sorted(each.key for each in parameters())
    assert [key for key, text in catalogue.items() if not text.strip()] == []


def test_reference_page_is_up_to_date() -> None:
    script = [sys.executable, str(ROOT / "scripts/write_parameter_docs.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def names_of_enumeration(module: str, name: str) -> list[str]:
    """The values of an enumeration of the installed transformers, whose import would take seconds."""
    package = importlib.util.find_spec("transformers")
    assert package is not None
    assert package.origin is not None
    source = Path(package.origin).with_name(f"{module}.py").read_text(encoding="utf-8")
    [found] = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name]
    return [ast.literal_eval(each.value) for each in found.body if isinstance(each, ast.Assign)]


def test_optimizers_and_schedules_are_those_of_the_installed_transformers() -> None:
    assert sorted(names_of_enumeration("training_args", "OptimizerNames")) == sorted(OPTIMIZERS)
    assert sorted(names_of_enumeration("trainer_utils", "SchedulerType")) == sorted(SCHEDULES)


def test_flat_and_dotted_names_find_the_same_parameter() -> None:
    assert parameter("lora_rank") is parameter("lora.lora_rank")


@pytest.mark.parametrize(
    ("flat", "key"),
    [
        ("additional_target", "lora.additional_target"),
        ("create_new_adapter", "lora.create_new_adapter"),
        ("seed", "train.seed"),
        ("include_effective_tokens_per_second", "method.include_effective_tokens_per_second"),
    ],
)
def test_a_flat_name_of_two_tables_means_the_common_one(flat: str, key: str) -> None:
    assert parameter(flat).key == key


def test_a_misspelled_parameter_gets_its_near_match() -> None:
    with pytest.raises(
        UserError, match=r"lora_rnak: there is no such parameter\. Did you mean 'lora_rank' of \[lora\]\?"
    ):
        parameter("lora_rnak")


def test_limits_choices_and_words_come_from_the_definition() -> None:
    rank, engine, rate, targets = (
        parameter(name) for name in ("lora_rank", "infer_backend", "learning_rate", "lora_target")
    )
    assert (rank.kind, rank.minimum, rank.maximum, rank.default) == ("int", 1, 4096, 8)
    assert rank.type_text == "a whole number from 1 to 4096"
    assert engine.choices == ("huggingface", "vllm", "sglang")
    assert engine.form.available_choices == ("huggingface",)
    assert (rate.kind, rate.optional, rate.default, rate.form.live) == ("float", True, None, True)
    assert (targets.kind, targets.default) == ("list", ["all"])


def test_only_what_a_going_run_can_take_is_live() -> None:
    live = {each.name for each in parameters() if each.form.live}
    assert live == {
        "learning_rate",
        "max_grad_norm",
        "weight_decay",
        "logging_steps",
        "eval_steps",
        "save_steps",
        "max_steps",
        "num_train_epochs",
    }


def test_conditions_name_parameters_and_values_that_exist() -> None:
    for each in parameters():
        for condition in each.form.when:
            target = parameter(condition.key)
            for value in condition.values:
                written = str(value).lower() if isinstance(value, bool) else str(value)
                assert target.kind == "bool" or written in target.choices, (each.key, condition)


def test_available_choices_are_choices_and_hold_the_default() -> None:
    for each in parameters():
        if each.form.available_choices and each.choices:
            assert set(each.form.available_choices) <= set(each.choices)
            assert each.default in each.form.available_choices


def test_a_table_of_another_method_does_not_apply() -> None:
    recipe = Recipe().with_values({"method.finetuning_type": "freeze"})
    assert not applies(parameter("lora_rank"), recipe)
    assert applies(parameter("freeze_trainable_layers"), recipe)
    assert not applies(parameter("pref_beta"), recipe)
