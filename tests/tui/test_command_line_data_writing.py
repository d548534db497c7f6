"""What `trimtab data encode` and `register` write, and what they must never overwrite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.command_line_world import World, a_world

DEMO = ("--model", "demo")
ROW = '{"question": "What?", "answer": "This."}\n'


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with a_world(tmp_path, monkeypatch, capsys) as made:
        Path("rows.jsonl").write_text(ROW)
        yield made


@pytest.mark.parametrize("source", ["rows.jsonl", "./folder", "folder/*.jsonl", "named"])
def test_the_rows_are_never_overwritten(world: World, source: str) -> None:
    Path("folder").mkdir()
    Path("folder/part.jsonl").write_text(ROW)
    Path("link").symlink_to("rows.jsonl" if source in ("rows.jsonl", "named") else "folder/part.jsonl")
    assert world.trimtab("data", "register", "named", "rows.jsonl").code == 0
    for output in (str(Path("link").readlink()), "link"):
        result = world.trimtab("data", "encode", source, *DEMO, "-o", output)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"error: {output}: the rows are read from this file")
    assert Path("link").read_text() == ROW


def test_a_link_stays_and_its_file_is_replaced(world: World) -> None:
    Path("link").symlink_to("target.jsonl")
    assert world.trimtab("data", "encode", "rows.jsonl", *DEMO, "-o", "link").code == 0
    assert Path("link").is_symlink()
    assert json.loads(Path("target.jsonl").read_text())["row"] == 1


def test_a_pipe_is_written_and_not_replaced(world: World) -> None:
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()))
    reader.start()
    assert world.trimtab("data", "encode", "rows.jsonl", *DEMO, "-o", "pipe").code == 0
    reader.join()
    assert json.loads(read[0])["file"] == "rows.jsonl"
    assert Path("pipe").is_fifo()


def test_what_cannot_be_written_is_said_in_one_line(world: World) -> None:
    Path("folder").mkdir()
    for output, problem in (("folder", "this is a folder"), ("/dev/full", "No space left on device")):
        result = world.trimtab("data", "encode", "rows.jsonl", *DEMO, "-o", output)
        assert result.code == 2
        assert result.err.startswith(f"error: {output}: {problem}")
        assert result.err.count("\n") == 1
        assert "-o" in result.err


def test_links_that_lead_in_a_circle_give_way_to_the_file(world: World) -> None:
    Path("circle").symlink_to("circle")
    Path("data").mkdir()
    Path("data/dataset_info.json").symlink_to("dataset_info.json")
    assert world.trimtab("data", "encode", "rows.jsonl", *DEMO, "-o", "circle").code == 0
    assert json.loads(Path("circle").read_text())["row"] == 1
    assert world.trimtab("data", "register", "mine", "rows.jsonl").code == 0
    assert list(json.loads(Path("data/dataset_info.json").read_text())) == ["mine"]


def test_a_folder_that_is_gone_is_no_bug(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("gone").mkdir()
    monkeypatch.chdir("gone")
    Path("../gone").rmdir()
    result = world.trimtab("data", "show", "rows.jsonl")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: the folder that you are in does not exist any more")


def test_a_pattern_can_be_registered(world: World) -> None:
    assert world.trimtab("data", "register", "all", "*.jsonl", "--dir", "data").code == 0
    Path("more.jsonl").write_text(ROW)
    shown = json.loads(world.trimtab("data", "show", "all", "--dir", "data", "--json").out)
    assert [Path(file).name for file in shown["files"]] == ["more.jsonl", "rows.jsonl"]
    assert "no file fits the pattern" in world.trimtab("data", "register", "none", "*.csv").err


def test_columns_that_the_rows_do_not_have_are_not_registered(world: World) -> None:
    result = world.trimtab("data", "register", "mine", "rows.jsonl", "--columns", "prompt=question,response=anwser")
    assert result.code == 2
    assert "columns.response = 'anwser'" in result.err
    assert "Did you mean answer?" in result.err
    assert not Path("data").exists()
    # A column that few rows have may come later than the rows that are looked at.
    pairs = "prompt=question,response=answer,system=role"
    assert world.trimtab("data", "register", "mine", "rows.jsonl", "--columns", pairs).code == 0


def test_commands_that_are_proposed_can_be_typed(world: World) -> None:
    result = world.trimtab("data", "register", "my rows", "rows.jsonl", "--dir", "my data")
    assert result.out.endswith("trimtab data show 'my rows' --dir 'my data'\n")
    world.trimtab("data", "register", "far", "hf://owner/name", "--dir", "my data")
    result = world.trimtab("data", "show", "far", "--dir", "my data")
    assert "`trimtab data show far --dir 'my data' --download`" in result.err


def test_names_with_a_dash_stand_behind_two_dashes(world: World) -> None:
    Path("-dash.jsonl").write_text(ROW)
    assert world.trimtab("data", "show", "-n", "1", "--", "-dash.jsonl").code == 0
    assert world.trimtab("data", "check", "rows.jsonl", *DEMO, "--", "-dash.jsonl").code == 0
    assert world.trimtab("data", "show", "rows.jsonl", "--", "-n").err.startswith("error: unrecognized arguments: -n.")
    assert "no preset '-mine'" in world.trimtab("train", "--", "-mine").err


def test_a_folder_that_is_not_there_is_no_empty_list(world: World) -> None:
    result = world.trimtab("data", "list", "--dir", "nowhere")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: nowhere: the folder does not exist")
    Path("data").mkdir()
    assert world.trimtab("data", "list", "--dir", "data").code == 0
    Path("data/dataset_info.json").write_text("[]")
    result = world.trimtab("data", "list", "--dir", "data")
    assert (result.code, result.out) == (2, "")
    assert "dataset_info.json" in result.err


def test_without_a_standard_output_the_file_is_written_all_the_same(world: World) -> None:
    program = [sys.executable, "-m", "tui", "data"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for words in (["list"], ["encode", "rows.jsonl", *DEMO, "-o", "out.jsonl"]):
        shell = ["sh", "-c", '"$@" >&-', "sh", *program, *words]
        done = subprocess.run(shell, stderr=subprocess.PIPE, text=True, check=False, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(Path("out.jsonl").read_text())["row"] == 1
