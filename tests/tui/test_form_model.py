"""The logic of forms: what is typed becomes values, changes can be seen, reset and undone, rules offer their change."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.config import Finding, Hardware, Recipe, load_preset, parameter, parameters, save_preset
from trainer.config.toml_text import toml_text
from tui.forms.entry import EntryError, entry_text, expectation, parse_entry, shown_text
from tui.forms.explain import explain
from tui.forms.lines import Mood, conditions_text, lines_of
from tui.forms.model import FormModel
from tui.forms.preflight import findings_of_answer, rows_of_findings
from tui.forms.review import review
from tui.forms.run_names import next_run_folder
from tui.forms.saving import preset_values
from tui.forms.search import ALIASES, search
from tui.forms.sections import Tier, all_sections, rows_of, sections_of
from tui.forms.summary import command_line, plan
from tui.locale import catalogue, set_language

CPU = Hardware(cuda=False, bf16=False, gpu_count=0, cpu_cores=2)
FOUR_GPUS = Hardware(cuda=True, bf16=True, gpu_count=4, cpu_cores=16)


@pytest.fixture
def demo() -> FormModel:
    return FormModel(CPU, load_preset("demo"))


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("train.learning_rate", "2e-4", 2e-4),
        ("train.learning_rate", " .5 ", 0.5),
        ("data.max_samples", "1_000", 1000),
        ("data.max_samples", "8k", 8000),
        ("data.cutoff_len", "8k", 8192),
        ("data.cutoff_len", "1e3", 1000),
        ("data.val_size", "50%", 0.5),
        ("data.max_samples", "", None),
        ("data.packing", "yes", True),
        ("method.finetuning_type", "FULL", "full"),
        ("train.lr_scheduler_kwargs", "{min_lr_rate = 0.1}", {"min_lr_rate": 0.1}),
        ("train.lr_scheduler_kwargs", "", {}),
        ("data.dataset", "", []),
    ],
)
def test_what_people_type_becomes_a_value(key: str, typed: str, value: object) -> None:
    assert parse_entry(parameter(key), typed) == value


@pytest.mark.parametrize(
    ("key", "typed", "expected"),
    [
        ("lora.lora_rank", "0", "expected an integer from 1 to 4096"),
        ("lora.lora_rank", "8.5", "expected an integer from 1 to 4096"),
        ("lora.lora_rank", "", "expected an integer from 1 to 4096"),
        ("lora.lora_rank", "50%", "expected an integer from 1 to 4096"),
        ("lora.lora_dropout", "1", "expected a number from 0 below 1"),
        ("train.learning_rate", "0", "expected a number above 0"),
        ("train.learning_rate", "fast", "expected a number above 0"),
        ("train.learning_rate", "1e999", "expected a number above 0"),
        ("train.fp16", "maybe", "expected true or false"),
        ("data.on_bad_row", "ignore", "expected one of stop, skip"),
    ],
)
def test_wrong_entries_are_refused_with_the_exact_limits(key: str, typed: str, expected: str) -> None:
    with pytest.raises(EntryError) as refusal:
        parse_entry(parameter(key), typed)
    assert str(refusal.value) == expected


def test_refusals_speak_chinese_too() -> None:
    set_language("zh")
    assert expectation(parameter("lora.lora_rank")) == "应为整数，不小于 1，不大于 4096"


@pytest.mark.parametrize("value", [None, True, 3, 2e-4, 0.95, 1e-8, 5e20, "text", ["a", "b"], {"GPU": 1}])
def test_every_value_has_a_short_text(value: object) -> None:
    assert "\n" not in shown_text(value)
    assert shown_text(value)


def test_every_default_survives_the_editor(demo: FormModel) -> None:
    for one in parameters():
        typed = entry_text(one, one.default)
        try:
            value = parse_entry(one, typed)
        except EntryError:
            pytest.fail(f"{one.key}: the editor's own text {typed!r} is refused")
        if one.form.available:
            demo.set(one.key, value)
            assert demo.value(one.key) == one.default, one.key


def test_small_numbers_are_shown_with_an_exponent() -> None:
    assert [shown_text(value) for value in (2e-4, 0.00015, 0.003, 1e-8)] == ["2e-4", "1.5e-4", "0.003", "1e-8"]


def test_toml_text_reads_back() -> None:
    import tomllib

    for value in ("plain", 'say "hi"\n\tback\\slash', [1, "two"], {"a b": True, "c": [0.5]}, 1e-8):
        assert tomllib.loads(f"value = {toml_text(value)}")["value"] == value


def test_a_change_is_marked_and_reset_takes_it_back(demo: FormModel) -> None:
    demo.enter("lora.lora_rank", "16")
    assert demo.changes == {"lora.lora_rank": 16}
    assert demo.recipe.lora.lora_rank == 16
    assert demo.resolved.recipe.lora.lora_alpha == 32
    demo.reset("lora.lora_rank")
    assert demo.changes == {}
    assert demo.value("lora.lora_rank") == 8


def test_entering_the_presets_value_is_no_change(demo: FormModel) -> None:
    demo.enter("lora.lora_rank", "16")
    demo.enter("lora.lora_rank", "8")
    assert not demo.changed("lora.lora_rank")


def test_undo_goes_back_step_by_step(demo: FormModel) -> None:
    demo.enter("lora.lora_rank", "16")
    demo.enter("lora.lora_rank", "32")
    demo.enter("train.max_steps", "7")
    demo.reset("lora.lora_rank")
    assert demo.undo() == ("lora.lora_rank",)
    assert demo.value("lora.lora_rank") == 32
    assert demo.undo() == ("train.max_steps",)
    demo.undo()
    demo.undo()
    assert demo.changes == {}
    assert demo.undo() == ()


def test_a_refused_value_changes_nothing(demo: FormModel) -> None:
    with pytest.raises(EntryError):
        demo.enter("lora.lora_rank", "many")
    with pytest.raises(EntryError):
        demo.set("lora.lora_rank", -1)
    assert demo.changes == {}
    assert not demo.can_undo


def test_what_is_not_available_yet_cannot_be_set(demo: FormModel) -> None:
    with pytest.raises(EntryError, match="not available yet"):
        demo.set("ray.ray_num_workers", 2)
    with pytest.raises(EntryError, match="vllm is not available yet"):
        demo.enter("model.infer_backend", "vllm")
    with pytest.raises(EntryError, match="use_mca is refused: Megatron replaces the training loop"):
        demo.set("method.use_mca", True)


def test_lists_and_numeric_choices_become_what_the_definition_wants(demo: FormModel) -> None:
    demo.enter("data.dataset", "one, two")
    assert demo.value("data.dataset") == ["one", "two"]
    demo.enter("train.sample_prompts", "Well, who are you?")
    assert demo.value("train.sample_prompts") == ["Well, who are you?"]


def test_chosen_values_survive_a_change_of_method(demo: FormModel) -> None:
    demo.enter("lora.lora_rank", "16")
    demo.enter("method.finetuning_type", "full")
    assert not demo.applies("lora.lora_rank")
    assert "lora" not in demo.values()
    assert "lora.lora_rank" in demo.left_out
    assert demo.changes == {"method.finetuning_type": "full"}
    demo.enter("method.finetuning_type", "lora")
    assert demo.value("lora.lora_rank") == 16
    assert demo.recipe.lora.lora_rank == 16


def test_sections_follow_the_method(demo: FormModel) -> None:
    names = [section.name for section in sections_of(demo, Tier.BASIC)]
    assert names[:5] == ["model", "method", "lora", "data", "train"]
    demo.enter("method.finetuning_type", "freeze")
    names = [section.name for section in sections_of(demo, Tier.BASIC)]
    assert "lora" not in names
    method = next(section for section in sections_of(demo, Tier.BASIC) if section.name == "method")
    assert "freeze.freeze_trainable_layers" in [row.key for row in rows_of(demo, method, Tier.BASIC)]


def test_every_parameter_stands_in_exactly_one_section() -> None:
    keys = [one.key for section in all_sections() for one in section.parameters]
    assert sorted(keys) == sorted(one.key for one in parameters())


def test_tiers_add_fields_and_changed_ones_always_show(demo: FormModel) -> None:
    train = next(section for section in all_sections() if section.name == "train")
    counts = [len(rows_of(demo, train, tier)) for tier in Tier]
    assert counts == sorted(counts)
    assert counts[0] < counts[1] < counts[2]
    demo.enter("train.adam_beta1", "0.8")
    assert "train.adam_beta1" in [row.key for row in rows_of(demo, train, Tier.BASIC)]
    assert [row.key for row in rows_of(demo, train, Tier.BASIC, only_changed=True)] == ["train.adam_beta1"]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("lr", "train.learning_rate"),
        ("bs", "train.per_device_train_batch_size"),
        ("rank", "lora.lora_rank"),
        ("learning rate", "train.learning_rate"),
        ("cutoff", "data.cutoff_len"),
        ("lora.lora_rank", "lora.lora_rank"),
    ],
)
def test_search_knows_names_and_short_forms(demo: FormModel, typed: str, first: str) -> None:
    assert search(demo, typed)[0].key == first


def test_search_reads_the_help_and_says_what_does_not_apply(demo: FormModel) -> None:
    assert "train.warmup_ratio" in [row.key for row in search(demo, "rises")]
    demo.enter("method.finetuning_type", "full")
    row = next(row for row in search(demo, "rank") if row.key == "lora.lora_rank")
    line = lines_of(demo, (row,))[0]
    assert line.mood == Mood.CLOSED
    assert "finetuning_type = lora" in line.tail


def test_all_aliases_name_parameters() -> None:
    keys = {one.key for one in parameters()}
    assert {key for named in ALIASES.values() for key in named} <= keys


def test_lines_say_automatic_changed_and_unavailable(demo: FormModel) -> None:
    lora = next(section for section in all_sections() if section.name == "lora")
    demo.enter("lora.lora_rank", "16")
    lines = {line.key: line for line in lines_of(demo, rows_of(demo, lora, Tier.EXPERT))}
    assert (lines["lora.lora_rank"].mark, lines["lora.lora_rank"].tail) == ("*", "was 8")
    assert lines["lora.lora_alpha"].value == "auto: 32"
    closed = next(one for one in parameters() if not one.form.available and not one.form.when)
    section = next(section for section in all_sections() if closed.key in {field.key for field in section.parameters})
    lines = {line.key: line for line in lines_of(demo, rows_of(demo, section, Tier.EXPERT))}
    assert lines[closed.key].mood == Mood.CLOSED


def test_a_finding_marks_its_field_and_its_change_is_one_step(demo: FormModel) -> None:
    finding = Finding("masked", "error", ("data.cutoff_len",), "all labels are masked", {}, {"data.cutoff_len": 1024})
    demo.outside_findings = (finding,)
    assert demo.errors == (finding,)
    assert explain(demo, "data.cutoff_len").findings == (finding,)
    assert demo.apply_change(finding)
    assert demo.value("data.cutoff_len") == 1024
    demo.undo()
    assert demo.changes == {}


def test_the_rules_of_the_definition_are_asked(demo: FormModel) -> None:
    demo.enter("data.eval_dataset", "identity")
    assert any("data.val_size" in finding.fields for finding in demo.errors)


def test_the_plan_is_arithmetic(demo: FormModel) -> None:
    demo.set_many({"train.max_steps": -1, "train.num_train_epochs": 3.0, "train.gradient_accumulation_steps": 2})
    demo.set_many({"train.warmup_steps": 0, "train.warmup_ratio": 0.1, "train.save_steps": 20})
    told = plan(demo, rows=100)
    assert told.effective_batch == 16
    # 100 rows in batches of 8 are 13 batches, two a step: 7 steps an epoch.
    assert told.steps == 21
    assert told.warmup_steps == 3
    assert told.saves == 2
    # A run trains on one device, however many there are.
    assert plan(FormModel(FOUR_GPUS, load_preset("demo")), rows=None).effective_batch == 8
    unknown = plan(demo, rows=None)
    assert (unknown.steps, unknown.saves) == (None, None)


@pytest.mark.parametrize(
    "values",
    [{"data.packing": True}, {"data.neat_packing": True}, {"data.streaming": True}],
    ids=lambda values: next(iter(values)),
)
def test_steps_are_not_told_where_rows_are_not_sequences(demo: FormModel, values: dict[str, object]) -> None:
    demo.set_many({"train.max_steps": -1, "train.num_train_epochs": 3.0})
    assert plan(demo, rows=100).steps == 39
    demo.set_many(values)
    assert (plan(demo, rows=100).rows, plan(demo, rows=100).steps) == (100, None)


def test_a_mixture_of_several_sets_has_another_number_of_rows(demo: FormModel) -> None:
    demo.set_many({"train.max_steps": -1, "data.dataset": ["identity", "other"]})
    assert plan(demo, rows=100).steps is not None
    demo.set_many({"data.mix_strategy": "interleave_over"})
    assert plan(demo, rows=100).steps is None


def test_the_command_line_starts_the_same_run(demo: FormModel) -> None:
    import shlex

    demo.enter("lora.lora_rank", "16")
    demo.enter("train.run_name", "my run")
    demo.enter("data.dataset", "one, two")
    demo.enter("train.learning_rate", "2e-4")
    words = shlex.split(command_line(demo))
    assert words[:3] == ["trimtab", "train", "demo"]
    assert "lora_rank=16" in words
    again = load_preset("demo", words[3:])
    assert again.recipe == demo.recipe


def test_a_preset_extends_its_base_or_stands_alone(demo: FormModel) -> None:
    known = frozenset({"demo"})
    demo.enter("lora.lora_rank", "16")
    assert preset_values(demo, "mine", known) == ("demo", {"lora": {"lora_rank": 16}})
    extends, values = preset_values(demo, "demo", known)
    assert extends is None
    assert Recipe.model_validate(values) == demo.recipe
    demo.set("train.save_total_limit", None)
    extends, values = preset_values(demo, "mine", known)
    assert extends is None
    save_preset("mine", values, extends=extends)
    assert load_preset("mine").recipe == demo.recipe


def test_the_review_tells_changes_reasons_and_what_is_left_out(demo: FormModel) -> None:
    demo.enter("lora.lora_dropout", "0.1")
    told = review(demo)
    assert [(one.name, one.before, one.after) for one in told.changes] == [("lora_dropout", "0.0", "0.1")]
    assert ("lora_alpha", "16", "twice lora_rank 8") in [(one.name, one.value, one.reason) for one in told.automatic]
    demo.enter("method.finetuning_type", "full")
    assert "lora_dropout" in [one.name for one in review(demo).left_out]


def test_the_next_run_is_named_after_the_preset(demo: FormModel, tmp_path: Path) -> None:
    (tmp_path / "runs" / "demo-1").mkdir(parents=True)
    assert next_run_folder(demo) == tmp_path / "runs" / "demo-2"
    demo.enter("train.run_name", "tuesday")
    assert next_run_folder(demo) == tmp_path / "runs" / "tuesday"


def test_answers_of_the_background_check_are_read_with_care() -> None:
    answer = b'[{"id": "a", "severity": "info", "fields": ["data.dataset"], "text": "x", "values": {"train_rows": 7}}]'
    assert rows_of_findings(findings_of_answer(answer)) == 7
    for broken in (b"", b"oops", b"{}5", b'[{"nothing": 1}]', b"[3]"):
        assert findings_of_answer(broken) is None


@pytest.mark.parametrize("area", ["setup", "presets"])
def test_both_languages_have_the_same_texts(area: str) -> None:
    import re

    english, chinese = catalogue("en", area), catalogue("zh", area)
    assert english.keys() == chinese.keys()
    for key, words in english.items():
        assert set(re.findall(r"{(\w+)}", words)) == set(re.findall(r"{(\w+)}", chinese[key])), key


def test_findings_that_contradict_each_other_get_the_value_that_satisfies_both(demo: FormModel) -> None:
    demo.set("train.eval_steps", 7)

    def wants(name: str, steps: int) -> Finding:
        return Finding(name, "error", ("train.eval_steps",), name, {}, {"train.eval_steps": steps})

    demo.outside_findings = (wants("small", 10), wants("large", 20))
    proposed = demo.proposed_changes()
    assert proposed["train.eval_steps"] in (10, 20)
    demo.set_many(proposed)
    assert demo.value("train.eval_steps") == proposed["train.eval_steps"]


def test_a_change_that_brings_up_another_is_followed_through(demo: FormModel) -> None:
    demo.set_many({"train.bf16": True, "train.fp16": True})
    changes = demo.proposed_changes()
    demo.set_many(changes)
    assert demo.proposed_changes() == {}
    demo.undo()
    assert demo.value("train.bf16") is True


def test_long_conditions_name_their_exceptions() -> None:
    assert conditions_text(parameter("lora.lora_rank").form.when).startswith("finetuning_type = lora | ")
    assert conditions_text(parameter("lora.create_new_adapter").form.when) == "finetuning_type not oft | freeze | full"
