"""`trimtab data`: everything that the Data screen does, as commands, in the real demo model's tokens."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tui.command_line_world import World, a_world
from trainer.data.formats import REASONS
from trainer.data.lengths import Histogram
from tui.commands import arguments, data_check, output
from tui.commands.data_arguments import ACTIONS
from tui.commands.progress_bar import ProgressBar
from tui.locale import catalogue

DEMO = ("--model", "demo")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with a_world(tmp_path, monkeypatch, capsys) as made:
        yield made


def talk(*contents: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[place % 2], "content": content} for place, content in enumerate(contents)]}


def write(name: str, *rows: Any) -> str:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    Path(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return name


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_help_that_fits(
    world: World, monkeypatch: pytest.MonkeyPatch, action: str, language: str
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    result = world.trimtab("data", action, "--help", "--language", language)
    assert result.code == 0
    assert f"trimtab data {action}" in result.out
    assert max(output.cells(line) for line in result.out.splitlines()) <= 60


def test_without_an_action_all_are_listed(world: World) -> None:
    result = world.trimtab("data")
    assert result.code == 0
    for action in ACTIONS:
        assert re.search(rf"^  {action} ", result.out, re.MULTILINE), action
    assert world.trimtab("data", "chek").err == (
        "error: there is no `trimtab data chek`. Did you mean `trimtab data check`?\n"
    )


def test_sets_are_listed_with_their_use(world: World) -> None:
    result = world.trimtab("data", "list")
    lines = {line.split()[0]: line for line in result.out.splitlines() if line}
    assert lines["identity"].split()[1] == "sft"
    assert "alpaca (instruction, input, output)" in lines["identity"]
    listed = json.loads(world.trimtab("data", "list", "--stage", "kto", "--json").out)
    identity = next(item for item in listed["sets"] if item["name"] == "identity")
    assert "cannot be used for kto" in identity["unfit"]
    assert world.trimtab("data", "list", "--stage", "nonsense").code == 2


def test_a_broken_registry_still_lists_what_can_be_read(world: World) -> None:
    Path("data").mkdir()
    write("data/rows.jsonl", talk("What?", "This."))
    Path("data/dataset_info.json").write_text('{\n  "good": {"file_name": "rows.jsonl"},\n  "bad": {oops}\n}')
    result = world.trimtab("data", "list")
    assert result.code == 0
    assert "dataset_info.json:3" in result.out
    assert "good" in result.out


def test_a_set_is_shown_with_rows_and_mapping(world: World) -> None:
    Path("qa.csv").write_text('question,answer,note\nWhat?,"This\nand that",x\nWho?,Me,y\n', encoding="utf-8")
    result = world.trimtab("data", "show", "qa.csv", "-n", "1", "--from", "2")
    assert result.code == 0
    assert "alpaca (question, answer)" in result.out
    assert re.search(r"prompt +question \(detected\)", result.out)
    assert re.search(r"not read +note", result.out)
    assert "question: Who?" in result.out
    assert "What?" not in result.out
    shown = json.loads(world.trimtab("data", "show", "qa.csv", "--json").out)
    assert [row["value"]["question"] for row in shown["rows"]] == ["What?", "Who?"]
    assert [row["line"] for row in shown["rows"]] == [2, 4]
    assert world.trimtab("data", "show", "qa.csv", "--from", "9").err.endswith("the data set ends before row 9\n")


def test_a_row_cannot_steer_the_terminal(world: World) -> None:
    write("rows.jsonl", talk("What?", "\x1b[2Jgone\x07"))
    for words in (("show", "rows.jsonl"), ("preview", "rows.jsonl", *DEMO)):
        result = world.trimtab("data", *words)
        assert "\x1b[2J" not in result.out
        assert "\x07" not in result.out
        assert "gone" in result.out


def test_a_check_reports_everything(world: World) -> None:
    rows = [talk("What?", "This."), talk("And?", ""), "{oops", talk("What?", "This."), talk("Long?", "more " * 60)]
    write("rows.jsonl", *rows)
    result = world.trimtab("data", "check", "rows.jsonl", *DEMO, "cutoff_len=40")
    assert result.code == 1
    facts = dict(re.findall(r"^(\S.*?)  +(.*)$", result.out, re.MULTILINE))
    assert facts["rows"] == "5 read, 3 used, 2 bad"
    assert facts["cutoff_len"] == "40: 1 row is longer and is cut"
    assert facts["end of turn"] == "learned in 2 of 3 rows (66.7%)"
    assert (facts["empty answers"], facts["duplicates"]) == ("1", "1")
    assert "1 x empty answer\n    rows.jsonl:2: an answer is empty" in result.out
    assert "1 x not valid JSON\n    rows.jsonl:3" in result.out
    assert "cutoff_len" in result.out.split("Rows by length in tokens:")[1].split("Bad rows:")[0]
    assert "on_bad_row=skip" in result.out.splitlines()[-1]
    skipped = world.trimtab("data", "check", "rows.jsonl", *DEMO, "on_bad_row=skip")
    assert skipped.code == 0
    assert skipped.out.splitlines()[-1] == "Good: 3 rows can be trained on."


def test_a_check_as_json_has_the_names_of_the_protocol(world: World) -> None:
    write("rows.jsonl", talk("What?", "This."), {"messages": []})
    result = world.trimtab("data", "check", "rows.jsonl", *DEMO, "--json")
    report = json.loads(result.out)
    assert (result.code, report["ok"]) == (1, False)
    assert (report["rows_read"], report["rows_used"], report["rows_bad"]) == (2, 1, 1)
    assert report["bad"][0]["examples"][0]["place"] == "rows.jsonl:2"
    assert {found["id"] for found in report["findings"]} >= {"data_bad_rows"}
    documented = (Path(__file__).parents[2] / "docs" / "data-worker-protocol.md").read_text(encoding="utf-8")
    assert [name for name in report if f"`{name}`" not in documented and name != "findings" and name != "ok"] == []


def test_a_check_in_chinese(world: World) -> None:
    write("rows.jsonl", talk("What?", "This."), talk("And?", ""))
    result = world.trimtab("data", "check", "rows.jsonl", *DEMO, "--language", "zh")
    assert "1 x 空回答" in result.out
    assert "读了 2，可用 1，坏行 1" in result.out


def test_a_preset_gives_model_and_settings(world: World) -> None:
    checked = json.loads(world.trimtab("data", "check", "--preset", "mine", "--json").out)
    assert [item["name"] for item in checked["sets"]] == ["identity"]
    other = json.loads(world.trimtab("data", "check", "--preset", "mine", "demo_replay", "max_samples=5", "--json").out)
    assert (other["sets"][0]["name"], other["rows_read"]) == ("demo_replay", 5)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("check",), "no data set is named"),
        (("check", "identity"), "no model is named"),
        (("check", "identity", *DEMO, "cutof_len=3"), "cutoff_len"),
        (("check", "identity", *DEMO, "--stage", "xyz"), "stage"),
        (("check", "identity", *DEMO, "--template", "chatm"), "Did you mean chatml?"),
        (("preview", "identity", "demo_replay", *DEMO), "expected one data set, not 2"),
        (("preview", "identity", *DEMO, "--row", "0"), "1 or more"),
        (("preview", "identity", *DEMO, "--row", "5000"), "ends before row 5000"),
        (("show", "identiy"), "Did you mean identity?"),
        (("show", "hf://someone/rows"), "--download"),
        (("register", "mine", "nowhere.jsonl"), "no such file"),
        (("register", "mine", "demo/config.json", "--columns", "prompt"), "expected pairs"),
        (("templates", "lama3"), "Did you mean llama3?"),
        (("encode", "identity", *DEMO, "-o", "nowhere/rows.jsonl"), "folder does not exist"),
    ],
)
def test_mistakes_are_one_line(world: World, words: tuple[str, ...], expected: str) -> None:
    result = world.trimtab("data", *words)
    assert (result.code, result.out) == (2, "")
    assert expected in result.err
    assert result.err.count("\n") == 1


def test_a_preview_marks_what_is_learned(world: World) -> None:
    write("rows.jsonl", talk("What?", "This."), talk("And?", "More\nlines."))
    result = world.trimtab("data", "preview", "rows.jsonl", *DEMO, "--row", "2", "--ids")
    assert result.code == 0
    raw, rendered, tokens = result.out.split("\n--- ")[1:]
    assert raw.startswith("raw\nrows.jsonl:2\n")
    assert rendered.split("\n", 1)[1].startswith(
        "<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\nMore\nlines."
    )
    marked = "".join(tokens.splitlines()[1:])
    [learned] = re.findall(r"\[(.*?)\]", marked)
    assert "".join(re.sub(r":\d+$", "", token) for token in learned.split("|")).startswith("More\\nlines.<")
    found = json.loads(world.trimtab("data", "preview", "rows.jsonl", *DEMO, "--row", "2", "--json").out)
    part = found["parts"]["whole"]
    assert "".join(token for token, _, learned in part["tokens"] if learned) == "More\nlines.<|im_end|>"
    assert part["trained"] == sum(learned for _, _, learned in part["tokens"])


def test_a_preview_of_a_ranked_row_shows_both_answers(world: World) -> None:
    write("rows.jsonl", {"prompt": "What?", "chosen": "This.", "rejected": "That."})
    result = world.trimtab("data", "preview", "rows.jsonl", *DEMO, "--stage", "dpo")
    assert result.code == 0
    assert "chosen answer" in result.out
    assert "rejected answer" in result.out


def test_a_preview_of_a_bad_row_says_why(world: World) -> None:
    write("rows.jsonl", talk("What?"), "{oops")
    for row, expected in (("1", "does not end with an answer"), ("2", "not valid JSON")):
        result = world.trimtab("data", "preview", "rows.jsonl", *DEMO, "--row", row)
        assert result.code == 1
        assert expected in result.out


ENCODED = {
    "sft": (talk("What?", "This."), {"input_ids", "labels"}),
    "pt": ({"text": "Once upon a time."}, {"input_ids", "labels"}),
    "dpo": ({"prompt": "What?", "chosen": "This.", "rejected": "No."}, {"prompt_ids", "chosen_ids", "rejected_ids"}),
    "kto": ({**talk("What?", "This."), "label": True}, {"prompt_ids", "completion_ids", "kto_tag"}),
    "ppo": (talk("What?", "This."), {"prompt_ids", "expected"}),
}


@pytest.mark.parametrize("stage", ENCODED)
def test_encoded_rows_are_those_of_the_trainer(world: World, stage: str) -> None:
    from trainer.config import Recipe
    from trainer.data import prepare

    row, columns = ENCODED[stage]
    write("rows.jsonl", row, row)
    result = world.trimtab("data", "encode", "rows.jsonl", *DEMO, "--stage", stage, "-o", "out.jsonl")
    assert result.code == 0
    assert result.out == "2 rows written to out.jsonl; 0 bad rows and 0 others left out\n"
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert set(lines[0]) == columns | {"file", "row", "line"}
    assert [(line["file"], line["row"], line["line"]) for line in lines] == [("rows.jsonl", 1, 1), ("rows.jsonl", 2, 2)]
    values = {"model.model_name_or_path": "demo", "data.dataset": ["rows.jsonl"], "method.stage": stage}
    for line, example in zip(lines, prepare(Recipe().with_values(values)).train, strict=True):
        columns: dict[str, object] = dict(example.columns)
        if stage == "ppo":
            columns["expected"] = "This."
        assert {name: line[name] for name in columns} == columns
        assert line.get("kto_tag") == example.kto_tag


def test_rows_of_one_reason_keep_their_own_remedies(world: World) -> None:
    write(
        "rows.jsonl",
        {"question": "C", "answer": "D"},
        {"question": None, "answer": "D"},
        {"question": "C", "answer": 1},
    )
    result = world.trimtab("data", "check", "rows.jsonl", *DEMO)
    assert result.out.count("What to do:") == 2
    assert "Make question a string" in result.out
    assert "Make answer a string" in result.out


def test_encoding_follows_the_policy_for_bad_rows(world: World) -> None:
    write("rows.jsonl", talk("What?", "This."), "{oops")
    stopped = world.trimtab("data", "encode", "rows.jsonl", *DEMO, "-o", "out.jsonl")
    assert stopped.code == 2
    assert "rows.jsonl:2" in stopped.err
    assert "on_bad_row=skip" in stopped.err
    assert not list(Path().glob("*out.jsonl*"))
    skipped = world.trimtab("data", "encode", "rows.jsonl", *DEMO, "on_bad_row=skip")
    assert skipped.code == 0
    assert [json.loads(line)["row"] for line in skipped.out.splitlines()] == [1]


def test_a_registered_file_can_be_used_by_its_name(world: World) -> None:
    write("rows.jsonl", {"q": "What?", "a": "This.", "q2": "Which?"})
    words = ("--columns", "prompt=q,response=a", "--num-samples", "7")
    result = world.trimtab("data", "register", "mine", "rows.jsonl", *words)
    assert result.code == 0
    registered = json.loads(Path("data/dataset_info.json").read_text())
    assert registered["mine"] == {
        "file_name": str(world.folder / "rows.jsonl"),
        "columns": {"prompt": "q", "response": "a"},
        "num_samples": 7,
    }
    assert world.trimtab("data", "check", "mine", *DEMO).code == 0
    again = world.trimtab("data", "register", "mine", "rows.jsonl", *words)
    assert again.code == 2
    assert "mine" in again.err
    assert (
        world.trimtab("data", "register", "mine", "rows.jsonl", "--columns", "prompt=q2,response=a", "--replace").code
        == 0
    )
    assert "Which?" in world.trimtab("data", "preview", "mine", *DEMO).out


def test_what_is_not_stated_is_detected_and_written(world: World) -> None:
    Path("sets").mkdir()
    write("sets/ranked.jsonl", {"prompt": "What?", "chosen": "This.", "rejected": "No."})
    result = world.trimtab("data", "register", "better", "sets/ranked.jsonl", "--dir", "sets", "--json")
    assert world.trimtab("data", "check", "better", *DEMO, "--dir", "sets", "--stage", "dpo").code == 0
    entry = json.loads(result.out)["entry"]
    assert entry == {
        "file_name": "ranked.jsonl",
        "ranking": True,
        "columns": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"},
    }
    hub = ("data", "register", "far", "hf://someone/rows:test", "--dir", "sets", "--json")
    assert json.loads(world.trimtab(*hub).out)["entry"] == {"hf_hub_url": "someone/rows", "split": "test"}
    assert set(json.loads(Path("sets/dataset_info.json").read_text())) == {"better", "far"}


def test_templates_are_listed_and_printed(world: World) -> None:
    listed = world.trimtab("data", "templates").out
    assert re.search(r"^chatml +<\|im_end\|>", listed, re.MULTILINE)
    assert "<|im_start|>" in world.trimtab("data", "templates", "chatml").out
    names = json.loads(world.trimtab("data", "templates", "--json").out)
    assert "chatml" in {item["name"] for item in names["templates"]}


def test_the_cutoff_stands_where_it_cuts(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Histogram((0, 10, 20, 30), (4, 2, 1))
    for cutoff, place in ((10, 1), (15, 2), (25, 3), (5, 1)):
        data_check.print_histogram(shown, cutoff)
        lines = capsys.readouterr().out.splitlines()[1:]
        assert [number for number, line in enumerate(lines) if line.endswith("cutoff_len")] == [place]
    data_check.print_histogram(shown, 30)
    assert "cutoff_len" not in capsys.readouterr().out


def test_the_bar_tells_how_long_it_will_take() -> None:
    bar = ProgressBar()
    bar.show("data/rows.jsonl", 0, 1000)
    line = bar.line(250, 1000, 5.0)
    assert line.startswith("rows.jsonl [######..................] 25%")
    assert "50 rows/s" in line
    assert "0:15 left" in line
    assert "%" not in bar.line(250, None, 5.0)


def test_every_reason_has_a_chinese_title() -> None:
    assert catalogue("zh", "reasons").keys() == REASONS.keys()


def test_no_action_imports_torch_and_its_kin() -> None:
    program = (
        "import sys\n"
        "from tui.command_line import main\n"
        "main(['data', 'list']); main(['data', 'templates']); main(['data', 'show', 'identity'])\n"
        "for action in ('check', 'preview', 'encode'):\n"
        "    main(['data', action, 'identity', '--model', 'shipped:demo_model', '--dir', 'shipped:'])\n"
        "heavy = {'torch', 'transformers', 'trl', 'peft', 'datasets', 'numpy', 'pandas', 'pyarrow', 'textual'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_commands_of_the_page_for_users_are_understood() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    commands = re.findall(r"^trimtab (data .*)$", page, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        name, parsed = arguments.parse(shlex.split(command, comments=True))
        assert name == "data"
        assert parsed.action in ACTIONS
