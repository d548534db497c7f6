"""What the parts of a pipeline start from, and what is wrong with a file of parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.config import Recipe
from trainer.config.pipeline import Part, chained, is_pipeline, needed_by, read_pipeline
from trainer.config.problems import PresetErrors
from trainer.errors import UserError

RESULTS = {name: f"/runs/{name}" for name in ("sft", "rm", "dpo", "ppo")}


def part(name: str, stage: str, method: str = "lora", start: str | None = None, **more: object) -> Part:
    values: dict[str, dict[str, object]] = {
        "model": {"model_name_or_path": f"base-of-{name}"},
        "method": {"stage": stage, "finetuning_type": method},
    }
    for key, value in more.items():
        table, _, field = key.partition("__")
        values.setdefault(table, {})[field] = value
    return Part(name, Recipe.model_validate(values), start)


def origin(recipe: Recipe) -> tuple[object, list[str], bool]:
    return recipe.model.model_name_or_path, recipe.model.adapter_name_or_path, recipe.lora.create_new_adapter


def test_a_policy_and_its_judge_lie_on_the_fine_tuned_model() -> None:
    parts = [part("sft", "sft"), part("rm", "rm"), part("ppo", "ppo")]
    assert origin(chained(parts, 0, RESULTS)) == ("base-of-sft", [], False)
    assert origin(chained(parts, 1, RESULTS)) == ("base-of-sft", ["/runs/sft"], True)
    policy = chained(parts, 2, RESULTS)
    assert origin(policy) == ("base-of-sft", ["/runs/sft"], True)
    assert (policy.ppo.reward_model, policy.ppo.reward_model_type) == ("/runs/rm", "lora")


def test_what_is_not_there_yet_is_stood_in_for() -> None:
    parts = [part("sft", "sft"), part("rm", "rm"), part("ppo", "ppo")]
    policy = chained(parts, 2, {})
    assert origin(policy) == ("base-of-sft", [], False)
    # A reward model it will have, and needs one to pass its check.
    assert (policy.ppo.reward_model, policy.ppo.reward_model_type) == ("rm", "lora")
    assert [[each.name for each in needed_by(parts, number)] for number in range(3)] == [[], ["sft"], ["sft", "rm"]]
    whole = [part("sft", "sft", "full"), part("dpo", "dpo", "full"), part("kto", "kto", "full")]
    assert origin(chained(whole, 2, {"sft": "/runs/sft"})) == ("/runs/sft", [], False)


def test_a_part_that_only_evaluates_is_passed_over() -> None:
    look = part("look", "sft", train__do_train=False, train__do_eval=True, data__dataset=["some"])
    parts = [part("sft", "sft"), look, part("dpo", "dpo")]
    assert (
        origin(chained(parts, 1, RESULTS))
        == origin(chained(parts, 2, RESULTS))
        == ("base-of-sft", ["/runs/sft"], False)
    )


def test_preferences_go_on_with_the_adapter() -> None:
    parts = [part("sft", "sft"), part("dpo", "dpo")]
    assert origin(chained(parts, 1, RESULTS)) == ("base-of-sft", ["/runs/sft"], False)


def test_whole_weights_follow_whole_weights() -> None:
    parts = [part("sft", "sft", "full"), part("rm", "rm", "full"), part("ppo", "ppo", "full")]
    policy = chained(parts, 2, RESULTS)
    assert origin(policy) == ("/runs/sft", [], False)
    assert (policy.ppo.reward_model, policy.ppo.reward_model_type) == ("/runs/rm", "full")
    with pytest.raises(UserError, match="part dpo trains whole weights"):
        chained([part("sft", "sft"), part("dpo", "dpo", "full")], 1, RESULTS)


def test_a_part_says_itself_where_it_starts_and_who_judges_it() -> None:
    parts = [
        part("sft", "sft"),
        part("rm", "rm", start="base"),
        part("dpo", "dpo", start="sft"),
        part("ppo", "ppo", start="sft", ppo__reward_model="mine", ppo__reward_model_type="full"),
    ]
    assert origin(chained(parts, 1, RESULTS)) == ("base-of-rm", [], False)
    policy = chained(parts, 3, RESULTS)
    assert origin(policy) == ("base-of-sft", ["/runs/sft"], False)
    assert (policy.ppo.reward_model, policy.ppo.reward_model_type) == ("mine", "full")
    # A judge on another base than the policy's is loaded with its own.
    judged = chained([*parts[:3], part("ppo", "ppo", start="sft")], 3, RESULTS)
    assert (judged.ppo.reward_model_type, judged.lora.create_new_adapter) == ("full", False)


def test_parts_are_presets_with_tables_over_them(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[model]\nmodel_name_or_path = "m"\n[train]\nmax_steps = 5\n')
    file = tmp_path / "parts.toml"
    file.write_text(
        '[[pipeline]]\nname = "one"\nextends = "own.toml"\n[pipeline.train]\nlearning_rate = 1e-3\n'
        '[[pipeline]]\nname = "two"\nextends = "demo-dpo"\nstarts_from = "one"\n'
    )
    assert is_pipeline(file)
    assert not is_pipeline(tmp_path / "own.toml")
    one, two = read_pipeline(file)
    assert (one.recipe.train.max_steps, one.recipe.train.learning_rate) == (5, 1e-3)
    assert (two.name, two.starts_from, two.recipe.method.stage) == ("two", "one", "dpo")


def test_values_of_every_kind_reach_a_part_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "parts.toml"
    file.write_text(
        '[[pipeline]]\nname = "one"\nextends = "demo"\n'
        '[pipeline.method]\nadapter_kwargs = {init_r = 12, "a b" = ["c"]}\n'
        "[pipeline.trainer]\naccelerator_config = {split_batches = false}\n"
    )
    (one,) = read_pipeline(file)
    assert one.recipe.method.adapter_kwargs == {"init_r": 12, "a b": ["c"]}
    assert one.recipe.trainer == {"accelerator_config": {"split_batches": False}}


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"parts\.toml: the pipeline cannot be read"):
        read_pipeline(tmp_path / "parts.toml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[pipeline]]\nextends = "demo"\n', "every part needs a name of its own"),
        ('[[pipeline]]\nname = "a"\nextends = "demo"\n' * 2, "every part needs a name of its own"),
        ('[[pipeline]]\nname = "a"\n', "part a says on which preset it builds"),
        ('[[pipeline]]\nname = "a"\nextends = "demo"\nstarts_from = "b"\n', "part a starts from no earlier part"),
        ('[[pipeline]]\nname = "a"\nextends = "demo"\nmax_steps = 2\n', "part a has no such key"),
        ('[train]\nmax_steps = 2\n[[pipeline]]\nname = "a"\nextends = "demo"\n', "stands beside the pipeline"),
        ('pipeline = "sft"\n', "write the parts as"),
        ("", "write the parts as"),
        ("[pipeline", "this is no TOML"),
        (
            '[[pipeline]]\nname = "a"\nextends = "demo"\n[pipeline.train]\nseed = 2020-01-01\n',
            "expected a whole number",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "parts.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=problem):
        read_pipeline(file)


def test_a_mistake_in_a_part_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "steps.toml"
    text = '[[pipeline]]\nname = "a"\nextends = "demo"\n\n[[pipeline]]\nname = "b"\nextends = "demo-rm"\n'
    file.write_text(text + '[pipeline.train]\nmax_steps = 3\nmax_stepps = 3\neval_steps = "often"\n')
    with pytest.raises(PresetErrors) as caught:
        read_pipeline(file, ["b.max_steps=many"])
    typo, value, given = sorted(caught.value.problems, key=lambda each: each.line or 99)
    assert str(typo).startswith(f"{file}:10: train.max_stepps: part b: ")
    assert str(value).startswith(f"{file}:11: train.eval_steps = 'often': part b: ")
    assert str(given).startswith("train.max_steps = 'many': part b: ")
    file.write_text(text.replace("demo-rm", "demo-mr"))
    with pytest.raises(UserError, match=r"steps\.toml:7: extends: part b: .*Did you mean 'demo-rm'"):
        read_pipeline(file)
