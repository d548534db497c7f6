"""The command line as such: words, help, errors, languages, exit codes, and what it does not import."""

from __future__ import annotations

import json
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tui
from tests.tui.command_line_world import World, a_world
from tui.command_line import COMMANDS
from tui.commands import arguments, output
from tui.locale import catalogue


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


def trimtab(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tui", *words], capture_output=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


def test_help_lists_every_command(world: World) -> None:
    result = world.trimtab("--help")
    assert result.code == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", result.out, re.MULTILINE), name


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_in_both_languages(world: World, name: str, language: str) -> None:
    result = world.trimtab(name, "--help", "--language", language)
    assert result.code == 0
    assert f"trimtab {name}" in result.out
    assert ("usage: " if language == "en" else "用法：") in result.out


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_fits_a_narrow_terminal(world: World, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = world.trimtab("--help", "--language", language).out.splitlines()
    assert max(output.cells(line) for line in lines) <= 40


def test_version(world: World) -> None:
    import trainer

    assert world.trimtab("--version").out == f"trimtab {trainer.__version__}\n"


def test_a_misspelled_command_gets_a_near_match(world: World) -> None:
    result = world.trimtab("trian", "demo")
    assert (result.code, result.out) == (2, "")
    assert result.err == 'error: there is no command "trian". Did you mean `trimtab train`?\n'


@pytest.mark.parametrize(
    "words",
    [("train",), ("train", "mine", "--nonsense"), ("status", "one", "two"), ("--nonsense",), ("--language", "fr")],
)
def test_wrong_usage_is_one_line_and_exit_2(world: World, words: tuple[str, ...]) -> None:
    result = world.trimtab(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1


def test_settings_and_options_stand_in_any_order() -> None:
    name, parsed = arguments.parse(["train", "mine", "a=1", "--detach", "b=2", "--name", "x", "c=3"])
    assert name == "train"
    assert (parsed.preset, list(parsed.settings), parsed.detach, parsed.name) == (
        "mine",
        ["a=1", "b=2", "c=3"],
        True,
        "x",
    )


def test_the_language_of_the_cockpit_is_that_of_the_command_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from tui import settings

    monkeypatch.delenv("TRIMTAB_LANGUAGE")
    settings.change(language="zh")
    assert world.trimtab("runs").out.startswith("还没有训练任务")


def test_without_a_terminal_bare_trimtab_tells_what_there_is() -> None:
    done = trimtab(stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    assert "trimtab --help" in done.stdout


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m tui params | head -1", shell=True, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_a_full_disk_behind_the_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "tui", "paths"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: No space left on device\n"


def test_an_output_that_knows_no_chinese_gets_question_marks() -> None:
    import os

    done = trimtab("--language", "zh", "paths", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "?" in done.stdout


def test_no_command_imports_torch_and_its_kin() -> None:
    program = (
        "import importlib, sys\n"
        "from tui.command_line import COMMANDS, main\n"
        "main(['--help'])\n"
        "early = {'pydantic', 'rich', 'textual'} & set(sys.modules)\n"
        "for module in {*COMMANDS.values(), 'doctor_probe'}: importlib.import_module(f'tui.commands.{module}')\n"
        "importlib.import_module('tui.progress_view')\n"
        "main(['params']); main(['presets']); main(['check', 'demo'])\n"
        "late = {'torch', 'transformers', 'trl', 'peft', 'datasets', 'numpy', 'pandas', 'textual'} & set(sys.modules)\n"
        "print(sorted(early), sorted(late))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] []"


def test_paths_as_json(world: World) -> None:
    places = json.loads(world.trimtab("paths", "--json").out)
    assert places["runs"] == {"path": str(world.runs_folder), "exists": False}
    assert all(set(place) == {"path", "exists"} for place in places.values())
    assert set(places) <= {line.split()[0] for line in world.trimtab("paths").out.splitlines()}


def test_a_parameter_is_explained(world: World) -> None:
    out = world.trimtab("params", "lora_rank").out
    assert "lora.lora_rank" in out
    assert "[lora] lora_rank = 8" in out
    near = world.trimtab("params", "lora_rnk")
    assert near.code == 2
    assert "lora_rank" in near.err


def test_parameters_as_json_are_the_definition(world: World) -> None:
    from trainer.config import parameters

    listed = json.loads(world.trimtab("params", "--json").out)
    assert [one["key"] for one in listed] == [one.key for one in parameters()]
    of_table = json.loads(world.trimtab("params", "lora", "--json").out)
    assert {one["table"] for one in of_table} == {"lora"}


def test_presets_of_the_user_and_broken_ones_are_listed(world: World) -> None:
    world.preset("broken", "[train\n")
    listed = {preset["name"]: preset for preset in json.loads(world.trimtab("presets", "--json").out)}
    assert listed["mine"]["shipped"] is False
    assert listed["mine"]["error"] is None
    assert "broken.toml:1" in listed["broken"]["error"]
    assert "broken.toml:1" in world.trimtab("presets").out


def test_tables_line_up_in_cells_and_become_blocks_when_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    table = output.Table(["名称", "state"])
    table.add("运行一", "ok")
    table.add("b", "ok")
    assert table.lines() == ["名称    state", "运行一  ok", "b       ok"]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    assert table.lines() == ["运行一", " ok", "b", " ok"]


@pytest.mark.parametrize("width", [5, 20, 80])
@pytest.mark.parametrize(
    "line", ["", "one two", "averylongwordwithoutanyspace", "中文没有空格也要换行 and words", "a 中 b"]
)
def test_wrapping_loses_nothing_and_stays_in_width(line: str, width: int) -> None:
    lines = output.wrap(line, width)
    assert all(output.cells(part) <= width for part in lines)
    assert "".join("".join(lines).split()) == "".join(line.split())


def test_json_has_no_numbers_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"a": [float("nan"), float("inf"), 1.5], "path": Path("/x"), "text": "中\udcff"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"a": ["nan", "inf", 1.5], "path": "/x", "text": "中\udcff"}


def test_both_catalogues_have_the_texts_that_the_code_asks_for() -> None:
    english, chinese = catalogue("en", "command_line"), catalogue("zh", "command_line")
    assert list(english) == list(chinese)
    for key in english:
        assert _placeholders(english[key]) == _placeholders(chinese[key]), key
    folder = Path(tui.__file__).parent
    files = [*folder.glob("commands/*.py"), folder / "command_line.py", folder / "progress_view.py"]
    asked = {
        key for file in files for key in re.findall(r'"command_line\.([a-z_]+)"', file.read_text(encoding="utf-8"))
    }
    assert asked <= set(english)


def _placeholders(pattern: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
