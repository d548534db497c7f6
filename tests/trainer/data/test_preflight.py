"""Everything that is wrong with model and data, at once, before torch is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainer.data.chat_templates import WITHOUT_END
from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.config import Finding, Recipe
from trainer.data import preflight

ROWS = [dialogue("What?", "This."), dialogue("And?", "That.")]


def summary(findings: list[Finding]) -> list[tuple[str, str]]:
    """What matters of findings."""
    return [(finding.id, finding.severity) for finding in findings]


def test_nothing_is_wrong(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    [finding] = preflight(make_recipe(make_model(), ROWS))
    assert (finding.id, finding.severity) == ("data_rows", "info")
    assert finding.values["train_rows"] == len(ROWS)


def test_a_missing_model_names_its_neighbour(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    model = make_model(name="tiny_model")
    [finding] = preflight(make_recipe(model.parent / "tiny-model", ROWS))
    assert (finding.id, finding.severity, finding.fields) == (
        "model_unusable", "error", ("model.model_name_or_path",)
    )  # fmt: skip
    assert "the model folder does not exist. Did you mean tiny_model?" in finding.text


def test_a_hub_model_that_is_not_here(make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    recipe = make_recipe(tmp_path, ROWS).with_values({"model.model_name_or_path": "someone/model"})
    assert summary(preflight(recipe)) == [("model_not_local", "info")]


def test_what_the_recipe_alone_tells_is_not_said_twice() -> None:
    assert summary(preflight(Recipe())) == []


@pytest.mark.parametrize("missing", ["chat_template.jinja", "tokenizer.json"])
def test_an_incomplete_model(make_model: MakeModel, make_recipe: MakeRecipe, missing: str) -> None:
    model = make_model()
    (model / missing).unlink()
    [finding] = preflight(make_recipe(model, ROWS))
    assert finding.severity == "error"
    assert ("no chat template" if missing.endswith("jinja") else "no tokenizer.json") in finding.text


def test_data_problems_stand_beside_model_problems(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path / "nowhere", [*ROWS, {"messages": []}], eval_dataset=["rows.json"])
    findings = preflight(recipe)
    assert summary(findings) == [("model_unusable", "error"), ("data_bad_rows", "error"), ("data_unreadable", "error")]
    assert "rows.jsonl:3: messages is not a list of messages (1 of 3 rows)" in findings[1].text
    assert findings[1].change == {"data.on_bad_row": "skip"}
    assert findings[2].fields == ("data.eval_dataset",)
    assert "eval_dataset = 'rows.json': the data file does not exist" in findings[2].text


def test_bad_rows_that_are_skipped_are_a_warning(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(make_model(), [*ROWS, {"messages": []}], on_bad_row="skip")
    assert summary(preflight(recipe)) == [("data_bad_rows_skipped", "warning"), ("data_rows", "info")]
    nothing = make_recipe(Path(str(recipe.model.model_name_or_path)), [{"messages": []}], on_bad_row="skip")
    assert summary(preflight(nothing)) == [("data_bad_rows_skipped", "warning"), ("data_no_rows", "error")]


def test_all_labels_masked(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    [finding] = preflight(make_recipe(make_model(), [dialogue("What " * 40, "Yes.")], cutoff_len=8))
    assert (finding.id, finding.severity) == ("data_all_masked_by_cutoff", "error")
    assert finding.change


def test_a_template_that_never_ends_an_answer(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    found = preflight(make_recipe(make_model(WITHOUT_END), ROWS))
    assert summary(found) == [("data_endless", "warning"), ("data_rows", "info")]


def test_only_the_first_rows_are_read(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(make_model(), [*ROWS, {"messages": []}])
    [finding] = preflight(recipe, limit_rows=2)
    assert (finding.id, finding.severity) == ("data_partly_checked", "info")
    assert "only the first 2 rows are checked" in finding.text
    assert summary(preflight(recipe.with_values({"data.max_samples": 2}))) == [("data_rows", "info")]


def test_a_check_ends_when_its_time_is_over(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    rows = [dialogue(f"Question {number}?", "Yes.") for number in range(400)]
    [finding] = preflight(make_recipe(make_model(), rows), seconds=0)
    assert finding.id == "data_partly_checked"
    assert 0 < int(str(finding.values["rows"])) < 400
