"""All rows of a data set by the trainer's own code, and what is said about them; against rows that are counted here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.chat_templates import CHATML, WITHOUT_END
from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.config import Recipe
from trainer.data import preflight, prepare
from trainer.data.check import check_data, findings_at_start
from trainer.data.inspect_set import OpenedSet, open_set
from trainer.errors import UserError

GOOD = [dialogue("What?", "This."), dialogue("And?", "That.", "Why?", "Because of it.")]


def ids(recipe: Recipe) -> dict[str, str]:
    """The findings of a check with their severities."""
    return {found.id: found.severity for found in check_data(recipe).findings}


def config(model: Path, **values: object) -> None:
    """Sets values in the model's config.json."""
    file = model / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_the_figures_are_those_of_the_training(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(make_model(), [*GOOD, {"messages": []}, *GOOD], on_bad_row="skip", cutoff_len=24)
    checked = check_data(recipe)
    prepared = prepare(recipe)
    report = checked.report
    assert (report.rows_read, report.rows_used, report.rows_bad) == (5, len(prepared.train), 1)
    assert report.tokens == sum(len(row.input_ids) for row in prepared.train)
    assert report.trained_tokens == sum(label >= 0 for row in prepared.train for label in row.labels)
    assert report.truncated == 2
    assert report.duplicates == 2
    assert report == prepared.report
    assert checked.good


def test_bad_rows_stop_where_the_policy_says_so(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    rows = [*GOOD, {"messages": [{"role": "user", "content": "And?"}]}]
    stops = check_data(make_recipe(make_model(), rows))
    assert not stops.good
    assert stops.report.rows_used == 2
    [finding] = [found for found in stops.findings if found.severity == "error"]
    assert (finding.id, finding.change) == ("data_bad_rows", {"data.on_bad_row": "skip"})
    assert "rows.jsonl:3" in finding.text
    assert check_data(make_recipe(make_model(name="other"), rows, on_bad_row="skip")).good


def test_nothing_usable_is_never_good(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    checked = check_data(make_recipe(make_model(), [{"messages": []}] * 3, on_bad_row="skip"))
    assert not checked.good
    assert "data_no_rows" in {found.id for found in checked.findings}


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"interleave_probs": [0.5], "mix_strategy": "interleave_under"}, "interleave_probs_values"),
        ({"mask_history": True, "train_on_prompt": True}, "mask_history_and_train_on_prompt"),
        ({"val_size": 2.0}, "val_size_too_large"),
        ({"val_size": 2.5}, "val_size_not_whole"),
        ({"streaming": True, "max_samples": 2}, "streaming_max_samples"),
    ],
)
def test_what_a_run_refuses_is_not_good(
    make_model: MakeModel, make_recipe: MakeRecipe, settings: dict[str, object], refused: str
) -> None:
    checked = check_data(make_recipe(make_model(), GOOD, **settings))
    assert not checked.good
    assert checked.report.rows_used == 2
    assert refused in {found.id for found in checked.findings if found.severity == "error"}


def test_settings_beside_the_data_are_not_judged(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(make_model(), GOOD, streaming=True, val_size=1.0)
    named = check_data(recipe.with_values({"data.dataset": []}), recipe.data.dataset)
    assert named.good
    assert {found.id for found in named.findings} == {"streaming_stops_at_bad_row"}


def test_a_set_named_twice_is_told(make_model: MakeModel, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(make_model(), GOOD)
    [name] = recipe.data.dataset
    (tmp_path / "link.jsonl").symlink_to(name)
    again = str(tmp_path / "link.jsonl")
    checked = check_data(recipe, [name, again, name])
    [found] = checked.findings
    assert (found.id, found.severity) == ("data_named_twice", "warning")
    assert found.text.startswith(f"{name}, {again}, {name}: these are the same rows, and each is trained on 3 times")
    assert checked.good


def test_a_set_that_cannot_be_read_does_not_hide_the_others(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(make_model(), GOOD)
    checked = check_data(recipe, [*recipe.data.dataset, "nowhere.jsonl"])
    assert checked.report.rows_used == 2
    assert not checked.good
    assert [found.id for found in checked.findings if found.severity == "error"] == ["data_unreadable"]


@pytest.mark.parametrize(("policy", "severity"), [("truncate", "warning"), ("drop", "warning"), ("error", "error")])
def test_long_rows_by_policy(make_model: MakeModel, make_recipe: MakeRecipe, policy: str, severity: str) -> None:
    rows = [dialogue("What?", "This."), dialogue("What?", "This and that, " * 40)]
    recipe = make_recipe(make_model(), rows, cutoff_len=64, on_long_row=policy)
    checked = check_data(recipe)
    names = {"truncate": "data_truncated", "drop": "data_dropped", "error": "data_too_long"}
    assert ids(recipe) == {names[policy]: severity}
    assert checked.report.rows_used == (2 if policy == "truncate" else 1)
    assert checked.good == (policy != "error")


def test_an_answer_without_its_end_is_counted(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    rows = [dialogue("What?", "This."), dialogue("What?", "This and that, " * 40)]
    report = check_data(make_recipe(make_model(), rows, cutoff_len=64)).report
    assert (report.with_end, report.ends_lost, report.endless) == (1, 1, 0)
    endless = check_data(make_recipe(make_model(WITHOUT_END, "endless"), rows, cutoff_len=1000)).report
    assert (endless.with_end, endless.endless) == (0, 2)


def judged(tag: Any) -> dict[str, Any]:
    return {"instruction": "What?", "output": f"This {tag}.", "kto_tag": tag}


def kto(recipe: Recipe) -> Recipe:
    return recipe.with_values({"method.stage": "kto"})


def test_kto_with_one_class_names_its_data_set(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model()
    recipe = kto(make_recipe(model, [judged(True)] * 3))
    [finding] = [found for found in check_data(recipe).findings if found.severity == "error"]
    assert finding.id == "data_kto_one_class"
    assert "rows.jsonl: every row is marked true (3 rows)" in finding.text
    assert finding.id in {found.id for found in preflight(recipe)}
    both = check_data(kto(make_recipe(model, [judged(True), judged(False)])))
    assert both.good
    assert (both.report.desirable, both.report.undesirable) == (1, 1)


def test_the_classes_of_kto_may_stand_in_two_sets(
    make_model: MakeModel, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(judged(False)))
    recipe = kto(make_recipe(make_model(), [judged(True)]))
    assert check_data(recipe, [*recipe.data.dataset, str(other)]).good


def test_ranked_rows_are_measured_with_their_longer_answer(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    row = {"instruction": "What?", "chosen": "This and that and more.", "rejected": "No."}
    recipe = make_recipe(make_model(), [row]).with_values({"method.stage": "dpo"})
    report = check_data(recipe).report
    [example] = prepare(recipe).train
    columns = example.columns
    assert report.lengths.maximum == len(columns["prompt_ids"]) + len(columns["chosen_ids"])
    assert report.trained_tokens == len(columns["chosen_ids"]) + len(columns["rejected_ids"])


def test_a_set_for_another_stage_says_what_it_is_for(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(make_model(), GOOD).with_values({"method.stage": "dpo"})
    [finding] = check_data(recipe).findings
    assert (finding.id, finding.severity) == ("data_unreadable", "error")
    assert "cannot be used for dpo" in finding.text
    assert "it is for sft" in finding.text


def test_plain_text_needs_no_chat_template(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model(None)
    text = make_recipe(model, [{"text": "Once upon a time."}]).with_values({"method.stage": "pt"})
    assert check_data(text).good
    assert "model_no_template" not in {found.id for found in preflight(text)}
    with pytest.raises(UserError, match="no chat template"):
        check_data(make_recipe(model, GOOD))


def test_a_cutoff_above_the_model_is_an_error_once_a_row_is_so_long(
    make_model: MakeModel, make_recipe: MakeRecipe
) -> None:
    model = make_model()
    config(model, max_position_embeddings=64)
    short = make_recipe(model, GOOD, cutoff_len=512)
    assert ids(short) == {"cutoff_above_model_unreached": "info"}
    assert ids(short.with_values({"data.neat_packing": True})) == {"cutoff_above_model": "error"}
    long = make_recipe(model, [dialogue("What?", "This and that, " * 40)], cutoff_len=512)
    [finding] = check_data(long).findings
    assert (finding.id, finding.severity) == ("cutoff_above_model", "error")
    assert "cutoff_len = 512 is more than the 64 tokens" in finding.text
    assert finding.change == {"data.cutoff_len": 64}
    assert ids(long.with_values({"model.rope_scaling": "linear"})) == {}
    assert ids(long.with_values({"data.cutoff_len": 64})) == {"data_truncated": "warning"}


def test_prompts_and_answers_together_above_the_model_are_an_error(
    make_model: MakeModel, make_recipe: MakeRecipe
) -> None:
    model = make_model()
    config(model, max_position_embeddings=256)

    def told(cutoff: int, answer: int) -> dict[str, object] | None:
        values = {"method.stage": "ppo", "generation.max_new_tokens": answer}
        found = check_data(make_recipe(model, GOOD, cutoff_len=cutoff).with_values(values)).findings
        return next((dict(each.change) for each in found if each.id == "answers_above_model"), None)

    assert told(192, 64) is None
    assert told(200, 64) == {"data.cutoff_len": 192}
    assert told(200, 4096) == {"generation.max_new_tokens": 56}
    assert told(512, 4096) == {}


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        ({"n_positions": 32}, 32),
        ({"text_config": {"max_position_embeddings": 32}}, 32),
        ({"max_position_embeddings": 16, "rope_scaling": {"factor": 2.0, "original_max_position_embeddings": 16}}, 32),
    ],
)
def test_models_state_their_limit_in_several_ways(
    make_model: MakeModel, make_recipe: MakeRecipe, values: dict[str, object], limit: int
) -> None:
    model = make_model()
    config(model, **values)
    [finding] = check_data(make_recipe(model, GOOD, cutoff_len=512)).findings
    assert finding.values["limit"] == limit


def test_a_template_whose_end_the_tokenizer_does_not_know(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model()
    assert ids(make_recipe(model, GOOD, template="chatml")) == {}
    [finding] = check_data(make_recipe(model, GOOD, template="llama3")).findings
    assert (finding.id, finding.severity) == ("template_stop_words_unknown", "warning")
    assert "<|eot_id|>" in finding.text


def test_no_data_set_is_a_mistake_of_the_user(make_model: MakeModel) -> None:
    with pytest.raises(UserError, match="no data set is chosen"):
        check_data(Recipe().with_values({"model.model_name_or_path": str(make_model(CHATML))}))


def test_progress_names_the_set_and_comes_to_its_end(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    seen: list[tuple[str, int]] = []
    recipe = make_recipe(make_model(), GOOD * 10)
    check_data(recipe, progress=lambda name, done, total: seen.append((name, done)))
    assert seen[-1] == (recipe.data.dataset[0], 20)


BAD = Path(__file__).parents[2] / "data" / "bad"
BAD_FILES = sorted([*(BAD / "files").iterdir(), *(BAD / "rows").glob("*.jsonl")])


def looked_at(file: Path, recipe: Recipe) -> OpenedSet | str:
    """The opened file, or why it cannot be opened."""
    try:
        return open_set(str(file), recipe)
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("file", BAD_FILES, ids=lambda file: file.name)
def test_every_bad_file_is_told_by_its_name_and_can_be_looked_at(make_model: MakeModel, file: Path) -> None:
    values = {"model.model_name_or_path": str(make_model()), "data.dataset": [str(file)], "data.on_bad_row": "skip"}
    for stage in ("sft", "dpo", "kto", "pt", "ppo"):
        recipe = Recipe().with_values({**values, "method.stage": stage})
        checked = check_data(recipe)
        assert checked.good == (checked.report.rows_used > 0) or "data_kto_one_class" in ids(recipe)
        if checked.report.rows_bad or not checked.report.rows_read:
            assert file.name in checked.findings[0].text
        opened = looked_at(file, recipe)
        if isinstance(opened, str):
            assert file.name in opened
            continue
        opened.rows.extend(60)
        views = [opened.view(number) for number in range(opened.rows.known)]
        # Rows of a broken arrow file can be read from front to back, but not by number.
        if opened.no_tokens is None and file.suffix != ".arrow":
            assert sum(view is not None and view.problem is None for view in views) == checked.report.rows_used


def test_a_run_begins_with_the_same_findings(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model()
    config(model, max_position_embeddings=64)
    recipe = make_recipe(model, [*GOOD, {"messages": []}], on_bad_row="skip", template="llama3", cutoff_len=512)
    told = findings_at_start(recipe, prepare(recipe).report)
    assert {found.id for found in told} == set(ids(recipe)) >= {"data_bad_rows_skipped", "template_stop_words_unknown"}
