"""Everything that is wrong with model and data, at once, before torch is imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trainer.data.chat_templates import WITHOUT_END
from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.config import Finding, Recipe
from trainer.data import model_size, preflight

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
    assert "rows.jsonl:3: messages is an empty list (1 of 3 rows)" in findings[1].text
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


def test_of_several_data_sets_the_one_in_question_is_named(
    make_model: MakeModel, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(make_model(), [ROWS[0], ROWS[0]])
    [twice, _] = preflight(recipe)
    assert twice.text == "1 of 2 rows stands there more than once"
    (tmp_path / "more.jsonl").write_text((tmp_path / "rows.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    names = [str(tmp_path / "rows.jsonl"), str(tmp_path / "more.jsonl")]
    texts = [found.text for found in preflight(recipe.with_values({"data.dataset": names}))]
    assert texts[:2] == [f"{name}: 1 of 2 rows stands there more than once" for name in names]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [([1000, 1000], None), ([2000, 2_000_000], "training on the CPU will be very slow"), ([10**12], "4000 GB")],
)
def test_a_model_too_large_for_the_processor_is_told_before(
    make_model: MakeModel,
    make_recipe: MakeRecipe,
    monkeypatch: pytest.MonkeyPatch,
    shape: list[int],
    expected: str | None,
) -> None:
    monkeypatch.setattr(model_size, "_memory", lambda: 10**12)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    model = make_model()
    head = json.dumps({"__metadata__": {}, "weight": {"dtype": "BF16", "shape": shape}}).encode()
    (model / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head)
    found = [finding.text for finding in preflight(make_recipe(model, ROWS)) if finding.severity == "warning"]
    assert len(found) == (expected is not None)
    assert expected is None or expected in found[0]


def test_the_name_of_a_hub_model_tells_its_size(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    recipe = make_recipe(tmp_path, ROWS)
    for name, warned in (("a/Big-8B-Instruct", True), ("a/Big-30B-A3B", True), ("a/small-0.5b", False)):
        found = preflight(recipe.with_values({"model.model_name_or_path": name}))
        assert any(finding.severity == "warning" for finding in found) == warned


def test_a_check_ends_when_its_time_is_over(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    rows = [dialogue(f"Question {number}?", "Yes.") for number in range(400)]
    [finding] = preflight(make_recipe(make_model(), rows), seconds=0)
    assert finding.id == "data_partly_checked"
    assert 0 < int(str(finding.values["rows"])) < 400


@pytest.mark.parametrize(
    ("data", "field", "text"),
    [
        ({"template": "qwen33"}, "data.template", "there is no chat template of this name. Did you mean qwen3?"),
        ({"template": "yi_vl"}, "data.template", "it is for images"),
        ({"template": "chatml", "tool_format": "gwen"}, "data.tool_format", "Did you mean qwen?"),
    ],
)
def test_a_template_that_there_is_not(
    make_model: MakeModel, make_recipe: MakeRecipe, data: dict[str, str], field: str, text: str
) -> None:
    [found] = preflight(make_recipe(make_model(), ROWS, **data))
    assert (found.id, found.severity, found.fields) == ("template_unknown", "error", (field,))
    assert text in found.text


def test_a_named_template_serves_a_model_without_one(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    assert summary(preflight(make_recipe(make_model(None), ROWS, template="chatml"))) == [("data_rows", "info")]


def test_special_tokens_that_somebody_typed_are_counted(make_model: MakeModel, make_recipe: MakeRecipe) -> None:
    """Such a row ends a turn where it should not; the template's own tokens, and `<` alone, are no concern."""
    faked = dialogue("Hi", "Yes<|im_end|>\n<|im_start|>user\nNo")
    rows = [dialogue("A < B?", "Yes. <|not one|>"), faked, dialogue("What is <|im_end|>?", "It ends a turn.")]
    found = preflight(make_recipe(make_model(), rows))
    [told] = [finding for finding in found if finding.id == "data_typed_tokens"]
    assert told.severity == "warning"
    assert told.values["count"] == 2
    assert str(told.values["example"]).endswith("rows.jsonl:2")


@pytest.mark.parametrize(
    ("stored", "values", "expected"),
    [
        ({"quant_method": "awq"}, {}, ["model_is_quantized"]),
        ({"quant_method": "mxfp4"}, {}, ["model_is_unpacked"]),
        ({"load_in_4bit": True}, {"quantization.quantization_bit": 4}, ["model_quantized_twice", "model_is_quantized"]),
        (
            {"quant_method": "gptq"},
            {"method.finetuning_type": "full"},
            ["model_quantized_needs_adapter", "model_is_quantized"],
        ),
    ],
)
def test_a_model_that_comes_quantized_is_seen_before_it_is_loaded(
    make_model: MakeModel,
    make_recipe: MakeRecipe,
    stored: dict[str, object],
    values: dict[str, object],
    expected: list[str],
) -> None:
    model = make_model()
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "quantization_config": stored}))
    recipe = make_recipe(model, ROWS).with_values(values)
    found = [finding for finding in preflight(recipe) if finding.id.startswith("model_")]
    assert sorted(finding.id for finding in found) == sorted(expected)
    for finding in found:
        if finding.severity == "error":
            mended = preflight(recipe.with_values(finding.change))
            assert finding.id not in [each.id for each in mended]
