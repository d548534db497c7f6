"""Mistakes before a start: each is one line with the fix, all at once, and nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.command_line_world import World, a_world
from trainer.errors import UserError
from tui.commands import check, train


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


def _row(content: str) -> str:
    return json.dumps({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": content}]})


BAD_INPUTS = {
    "preset missing": ("min", (), ("there is no preset 'min'", "'mine'")),
    "TOML broken": ("[train\n", (), ("bad.toml:1", "column")),
    "key misspelled": ('extends = "mine"\n[train]\nlearning_rat = 1\n', (), ("bad.toml:3", "'learning_rate'")),
    "value wrong": ('extends = "mine"\n[lora]\nlora_rank = 0\n', (), ("bad.toml:3", "lora_rank", "from 1")),
    "setting misspelled": ("mine", ("lora_rnk=4",), ("lora_rnk", "'lora_rank'")),
    "setting without value": ("mine", ("lora_rank",), ("lora_rank", "key=value")),
    "model missing": ("mine", ("model_name_or_path=/nowhere/model",), ("/nowhere/model", "Check the path")),
    "data missing": ("mine", ('dataset=["/nowhere/rows.jsonl"]',), ("/nowhere/rows.jsonl", "Check the path")),
    "row broken": ("mine", ('dataset=["rows.jsonl"]',), ("rows.jsonl:2", "data.on_bad_row")),
    "all labels masked": ("mine", ("cutoff_len=4",), ("all labels are masked", "data.cutoff_len=64")),
    "not available yet": ("mine", ("export_size=3",), ("export_size is not available yet",)),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_one_line_with_the_fix_and_leaves_nothing(world: World, case: str) -> None:
    preset, settings, expected = BAD_INPUTS[case]
    Path("rows.jsonl").write_text(f"{_row('yes')}\n{{oops\n{_row('no')}\n", encoding="utf-8")
    if "\n" in preset:
        preset = str(world.preset("bad", preset))
    result = world.trimtab("train", preset, *settings)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    for part in expected:
        assert part in result.err
    assert world.run_names() == []
    checked = world.trimtab("check", preset, *settings)
    assert checked.code == 1
    assert result.err.strip() in checked.out


def test_all_errors_are_told_at_once(world: World) -> None:
    words = (
        "mine",
        "model_name_or_path=/nowhere/model",
        'dataset=["/nowhere/a.jsonl", "/nowhere/b.jsonl"]',
        'report_to=["wandb"]',
    )
    lines = world.trimtab("train", *words).err.splitlines()
    assert len(lines) == 4
    report = json.loads(world.trimtab("check", *words, "--json").out)
    assert report["ok"] is False
    assert (report["rows"], report["tokens"], report["steps"]) == (None, None, None)
    assert [finding["severity"] for finding in report["findings"]] == ["error"] * 4


def test_mistakes_of_every_kind_are_told_together(world: World) -> None:
    preset = world.preset(
        "bad", 'extends = "mine"\n[lora]\nlora_rank = "eight"\n[trian]\na = 1\n[data]\ncutof_len = 3\n'
    )
    words = ("export_size=3", "seed=-1", "packng=true", "dataset=nosuch.json", "infer_backend=vllm")
    out = world.trimtab("check", str(preset), *words).out
    for part in ("bad.toml:3: lora.lora_rank", "bad.toml:4: [trian]", "bad.toml:7: data.cutof_len", "packng", "seed"):
        assert part in out
    for part in ("export_size is not available yet", "'nosuch.json'", "infer_backend = vllm is not available yet"):
        assert part in out
    assert "errors: 8" in out
    assert world.trimtab("train", str(preset), *words).err.count("error: ") == 8


def test_a_value_that_cannot_be_read_is_told_once(world: World) -> None:
    out = world.trimtab("check", "mine", "dataset=[1]").out
    assert "errors: 1" in out


def test_a_good_preset_tells_rows_tokens_and_steps(world: World) -> None:
    settings = ("num_train_epochs=2", "per_device_train_batch_size=4", "gradient_accumulation_steps=1")
    report = json.loads(world.trimtab("check", "mine", *settings, "--json").out)
    assert (report["ok"], report["complete"]) == (True, True)
    assert report["tokens"] > report["rows"] > 0
    assert report["steps"] == 2 * -(-report["rows"] // 4)
    assert report["automatic"]["train.learning_rate"]["reason"]
    printed = world.trimtab("check", "mine", *settings)
    assert printed.code == 0
    assert f"steps: {report['steps']}" in printed.out


def test_steps_are_not_guessed_when_only_a_part_was_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "LIMIT_ROWS", 10)
    report = json.loads(world.trimtab("check", "mine", "--json").out)
    assert (report["rows"], report["steps"], report["complete"]) == (None, None, False)
    assert "only the first 10 rows are checked" in world.trimtab("check", "mine").out
    assert json.loads(world.trimtab("check", "mine", "max_steps=7", "--json").out)["steps"] == 7


def test_rows_that_cannot_be_divided_are_found(world: World) -> None:
    result = world.trimtab("check", "mine", "val_size=100000")
    assert result.code == 1
    assert "val_size" in result.out


def test_a_name_that_is_taken_keeps_the_old_run(world: World) -> None:
    assert world.trimtab("train", "mine", "--name", "one").code == 0
    identity = world.find("one").identity_file.read_bytes()
    result = world.trimtab("train", "mine", "--name", "one")
    assert result.code == 2
    assert "trimtab resume one" in result.err
    assert world.find("one").identity_file.read_bytes() == identity


def test_a_runs_folder_that_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_RUNS", "/proc/runs")
    result = world.trimtab("train", "mine")
    assert result.code == 2
    assert "/proc/runs" in result.err
    assert "TRIMTAB_RUNS" in result.err


def test_a_start_that_fails_leaves_no_run_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(run: object) -> int:
        raise UserError("cannot start the trainer: No space left on device", file="status.json")

    monkeypatch.setattr(train, "launch", full_disk)
    result = world.trimtab("train", "mine", "--name", "one")
    assert result.code == 2
    assert result.err == (
        "error: status.json: cannot start the trainer: No space left on device."
        " Free some space, or set TRIMTAB_RUNS to a folder on another disk\n"
    )
    assert world.run_names() == []


def test_a_proposal_to_unset_a_value_can_be_typed(world: World) -> None:
    assert "(try: train.bf16=unset)" in world.trimtab("check", "demo", "bf16=true").out
    assert world.trimtab("check", "demo", "train.bf16=unset").code == 0
