"""The data worker as the Data screen meets it: the real process, JSON lines over its pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.conftest import MakeModel, dialogue
from trainer.config import Recipe
from trainer.data import prepare

Answer = dict[str, Any]


class Worker:
    """A running data worker."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "trainer", "data"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        self.unasked: list[Answer] = []
        self._number = 0
        assert self.next() == {"event": "ready"}

    def send(self, verb: str, **values: object) -> int:
        """Send a request; its id."""
        self._number += 1
        self.write(json.dumps({"do": verb, "id": self._number, **values}))
        return self._number

    def write(self, line: str) -> None:
        """Send a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def next(self) -> Answer:
        """The next answer of any kind."""
        assert self.process.stdout is not None
        answer: Answer = json.loads(self.process.stdout.readline())
        return answer

    def until(self, number: int) -> list[Answer]:
        """All events of a request up to its answer; those of others are kept."""
        events: list[Answer] = []
        while not events or events[-1]["event"] == "progress":
            answer = self.next()
            if answer.get("id") == number and answer["event"] != "indexed":
                events.append(answer)
            else:
                self.unasked.append(answer)
        return events

    def ask(self, verb: str, **values: object) -> Answer:
        """The answer to a request."""
        return self.until(self.send(verb, **values))[-1]

    def end(self) -> int:
        """Close its standard input, and its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(30)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def rows_file(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    file = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def tables(model: Path | None, stage: str = "sft", **data: object) -> dict[str, Any]:
    """A recipe as the screen sends it: all tables, with what is unset."""
    values: dict[str, object] = {f"data.{name}": value for name, value in data.items()}
    values |= {"method.stage": stage}
    if model is not None:
        values["model.model_name_or_path"] = str(model)
    dumped: dict[str, Any] = Recipe().with_values(values).model_dump(mode="json")
    return dumped


def test_what_is_shown_is_what_is_trained(worker: Worker, make_model: MakeModel, tmp_path: Path) -> None:
    rows = [dialogue("What?", "This.", "And?", "That."), dialogue("Was?", "Das 你好."), dialogue("Long?", "more " * 90)]
    file = rows_file(tmp_path, rows)
    recipe = tables(make_model(), cutoff_len=60, dataset=[str(file)])
    opened = worker.ask("open", set=str(file), recipe=recipe)
    assert (opened["event"], opened["known"], opened["complete"], opened["parts"]) == ("opened", 3, True, ["whole"])
    for number, example in enumerate(prepare(Recipe.model_validate(recipe)).train):
        rendered = worker.ask("view", row=number, what="rendered")
        tokens = worker.ask("view", row=number, what="tokens")
        assert [identifier for _, identifier, _ in tokens["tokens"]] == example.input_ids
        assert [bool(learned) for _, _, learned in tokens["tokens"]] == [label >= 0 for label in example.labels]
        assert tokens["trained"] == sum(label >= 0 for label in example.labels)
        answers = [message["content"] for message in rows[number]["messages"] if message["role"] == "assistant"]
        for (first, end), answer in zip(rendered["answers"], answers, strict=True):
            assert answer in rendered["text"][first:end]
        assert json.loads(worker.ask("view", row=number, what="raw")["text"]) == rows[number]
    assert (tokens["cut"], tokens["total"], tokens["end_lost"]) == (True, 60, True)
    assert tokens["full_length"] > 60


@pytest.mark.parametrize("stage", ["dpo", "kto", "pt", "ppo"])
def test_rows_of_every_stage_are_shown_as_they_are_trained(
    worker: Worker, make_model: MakeModel, tmp_path: Path, stage: str
) -> None:
    rows: dict[str, dict[str, Any]] = {
        "dpo": {"instruction": "What?", "chosen": "This and that.", "rejected": "No."},
        "kto": {"instruction": "What?", "output": "This.", "kto_tag": False},
        "pt": {"text": "Once upon a time."},
        "ppo": {"instruction": "What?", "output": "This."},
    }
    row = rows[stage]
    file = rows_file(tmp_path, [row])
    recipe = tables(make_model(), stage, dataset=[str(file)])
    opened = worker.ask("open", set=str(file), recipe=recipe)
    [example] = prepare(Recipe.model_validate(recipe)).train
    columns = example.columns
    whole = columns.get("input_ids") or columns["prompt_ids"] + columns.get("completion_ids", [])
    expected = {"whole": (whole, sum(label >= 0 for label in columns.get("labels", columns.get("completion_ids", []))))}
    if stage == "dpo":
        expected = {
            name: (columns["prompt_ids"] + columns[f"{name}_ids"], len(columns[f"{name}_ids"]))
            for name in ("chosen", "rejected")
        }
    assert opened["parts"] == list(expected)
    for part, (ids, learned) in expected.items():
        shown = worker.ask("view", row=0, what="tokens", part=part)
        assert [identifier for _, identifier, _ in shown["tokens"]] == ids
        assert shown["trained"] == learned
        assert shown["tag"] == (False if stage == "kto" else None)
        text = worker.ask("view", row=0, what="rendered", part=part)["text"]
        assert (row.get("output") or row.get(part) or row.get("text") or "") in text or stage == "ppo"


def test_sets_are_listed_with_what_the_stage_can_use(worker: Worker, tmp_path: Path) -> None:
    rows_file(tmp_path, [dialogue("What?", "This.")])
    rows_file(tmp_path, [{"prompt": "What?", "chosen": "This", "rejected": "That"}], "ranked.jsonl")
    entries = {
        "talk": {"file_name": "rows.jsonl"},
        "ranked": {"file_name": "ranked.jsonl", "ranking": True},
        "gone": {"file_name": "gone.jsonl"},
        "far": {"hf_hub_url": "someone/rows"},
    }
    text = json.dumps(entries, indent=2)
    (tmp_path / "dataset_info.json").write_text(text.replace("\n}", ',\n  "broken": {oops}\n}'))
    listed = worker.ask("list", recipe=tables(None, dataset_dir="."))
    sets = {item["name"]: item for item in listed["sets"]}
    assert (sets["talk"]["unfit"], sets["talk"]["stages"]) == (None, ["sft", "ppo", "grpo", "rloo"])
    assert "cannot be used for sft" in sets["ranked"]["unfit"]
    assert "gone.jsonl" in sets["gone"]["problem"]
    assert (sets["far"]["kind"], sets["far"]["files"], sets["far"]["problem"]) == ("hub", [], None)
    [problem] = listed["problems"]
    assert "dataset_info.json:15" in problem


def test_the_mapping_is_shown_and_can_be_changed(worker: Worker, make_model: MakeModel, tmp_path: Path) -> None:
    file = rows_file(tmp_path, [{"question": "What?", "answer": "This.", "better": "That."}])
    recipe = tables(make_model())
    opened = worker.ask("open", set=str(file), recipe=recipe)
    mapping = {item["name"]: item for item in opened["format"]["mapping"]}
    assert (mapping["prompt"]["value"], mapping["response"]["value"]) == ("question", "answer")
    assert mapping["response"]["detected"]
    assert (mapping["history"]["value"], mapping["history"]["present"]) == (None, False)
    assert opened["format"]["unused"] == ["better"]
    entry = opened["format"]["entry"]
    entry["columns"]["response"] = "better"
    changed = worker.ask("open", set=str(file), recipe=recipe, entry=entry)
    mapping = {item["name"]: item for item in changed["format"]["mapping"]}
    assert (mapping["response"]["value"], mapping["response"]["detected"]) == ("better", False)
    assert "That." in worker.ask("view", row=0, what="rendered")["text"]
    wrong = worker.ask("open", set=str(file), recipe=recipe, entry={"columns": {"respons": "better"}})
    assert wrong["event"] == "error"
    assert "Did you mean response?" in wrong["text"]


def test_without_a_model_rows_are_shown_raw(worker: Worker, tmp_path: Path) -> None:
    file = rows_file(tmp_path, [dialogue("What?", "This."), "{oops"])
    opened = worker.ask("open", set=str(file), recipe=tables(None))
    assert (opened["template"], opened["unfit"]) == (None, None)
    assert "no model is chosen" in opened["no_tokens"]
    assert "What?" in worker.ask("view", row=0, what="raw")["text"]
    assert "no model is chosen" in worker.ask("view", row=0, what="tokens")["text"]
    bad = worker.ask("view", row=1, what="raw")
    assert (bad["problem"]["reason"], bad["problem"]["place"]) == ("invalid_json", f"{file}:2")


def test_a_set_for_another_stage_opens_and_says_why_it_does_not_fit(
    worker: Worker, make_model: MakeModel, tmp_path: Path
) -> None:
    file = rows_file(tmp_path, [{"prompt": "What?", "chosen": "This", "rejected": "That"}])
    opened = worker.ask("open", set=str(file), recipe=tables(make_model()))
    assert "cannot be used for sft" in opened["unfit"]
    assert opened["no_tokens"] == opened["unfit"]
    assert (opened["stages"], opened["format"]["row_kind"]) == (["dpo", "rm"], "ranked")


def test_bad_rows_stay_in_their_place(worker: Worker, make_model: MakeModel, tmp_path: Path) -> None:
    file = rows_file(tmp_path, [dialogue("What?", "This."), "{oops", {"messages": [{"role": "user", "content": "x"}]}])
    worker.ask("open", set=str(file), recipe=tables(make_model()))
    rows = worker.ask("rows", first=0, count=10)["rows"]
    assert [row["problem"] and row["problem"]["reason"] for row in rows] == [None, "invalid_json", None]
    assert [row["line"] for row in rows] == [1, 2, 3]
    unanswered = worker.ask("view", row=2, what="tokens")
    assert (unanswered["problem"]["title"], unanswered["total"]) == ("no answer at the end", 0)
    assert worker.ask("view", row=1, what="raw")["text"] == "{oops"
    assert worker.ask("view", row=9, what="raw")["code"] == "no_such_row"


def test_a_row_that_the_trainer_leaves_out_says_so(worker: Worker, make_model: MakeModel, tmp_path: Path) -> None:
    unlearned = dialogue("What?", "This.")
    unlearned["messages"][1]["train"] = False
    file = rows_file(tmp_path, [dialogue("What? " * 50, "This."), unlearned])
    worker.ask("open", set=str(file), recipe=tables(make_model(), cutoff_len=20))
    problems = [worker.ask("view", row=number, what="rendered")["problem"]["text"] for number in (0, 1)]
    assert "ends before the answers begin" in problems[0]
    assert "nothing in the row is learned" in problems[1]
    worker.ask("open", set=str(file), recipe=tables(make_model(name="other"), cutoff_len=20, on_long_row="drop"))
    assert "longer than cutoff_len" in worker.ask("view", row=0, what="tokens")["problem"]["text"]


def test_rows_of_any_length_come_in_pieces(worker: Worker, make_model: MakeModel, tmp_path: Path) -> None:
    answer = "".join(f"{number} 你好\n" for number in range(12_000))
    file = rows_file(tmp_path, [dialogue("What?", answer)])
    worker.ask("open", set=str(file), recipe=tables(make_model(), cutoff_len=100_000))
    for what in ("raw", "rendered", "tokens"):
        pieces, offset = [], 0
        while True:
            piece = worker.ask("view", row=0, what=what, offset=offset, count=50_000)
            found = piece["tokens"] if what == "tokens" else piece["text"]
            assert len(found) <= 20_000
            if not found:
                break
            pieces.append([identifier for _, identifier, _ in found] if what == "tokens" else found)
            offset += len(found)
        assert offset == piece["total"]
    assert offset > 50_000


def test_a_large_file_opens_before_it_is_counted(worker: Worker, make_model: MakeModel, tmp_path: Path) -> None:
    line = json.dumps(dialogue("What is the name of this?", "The name is " + "long " * 40))
    file = tmp_path / "large.jsonl"
    file.write_text("\n".join([line] * 150_000 + [line.replace("name of", "needle of")]))
    opened = worker.ask("open", set=str(file), recipe=tables(make_model()))
    assert opened["known"] > 0
    assert worker.ask("view", row=0, what="tokens")["total"] > 0
    # Behind what is known so far: the search waits for the index.
    assert worker.ask("search", text="NEEDLE", first=0)["row"] == 150_000
    assert worker.ask("search", text="needle", first=149_999, backwards=True)["row"] is None
    assert worker.ask("search", text="needle", first=150_000, backwards=True)["row"] == 150_000
    if not opened["complete"]:
        while not any(answer.get("complete") for answer in worker.unasked):
            worker.unasked.append(worker.next())
    assert worker.ask("rows", first=150_000, count=5)["known"] == 150_001


def test_a_check_can_be_cancelled_and_holds_up_nothing(worker: Worker, make_model: MakeModel, tmp_path: Path) -> None:
    line = json.dumps(dialogue("What is the name of this?", "The name is " + "long " * 40))
    file = tmp_path / "large.jsonl"
    file.write_text("\n".join(f'{line[:-1]}, "number": {number}}}' for number in range(150_000)))
    recipe = tables(make_model(), preprocessing_num_workers=1)
    worker.ask("open", set=str(file), recipe=recipe)
    check = worker.send("check", sets=[str(file)], recipe=recipe)
    assert worker.ask("view", row=0, what="tokens")["total"] > 0
    while not any(answer["event"] == "progress" for answer in worker.unasked):
        worker.unasked.append(worker.next())
    worker.write(json.dumps({"do": "cancel", "id": check}))
    assert worker.until(check)[-1] == {"event": "cancelled", "id": check}


def test_a_check_reports_what_it_found(worker: Worker, make_model: MakeModel, tmp_path: Path) -> None:
    file = rows_file(tmp_path, [dialogue("What?", "This."), dialogue("And?", ""), "{oops"])
    recipe = tables(make_model(), dataset=[str(file)])
    checked = worker.ask("check", recipe=recipe)
    assert not checked["ok"]
    report = checked["report"]
    assert (report["rows_read"], report["rows_used"], report["empty_answers"]) == (3, 1, 1)
    assert {item["reason"] for item in report["bad"]} == {"empty_answer", "invalid_json"}
    assert sum(report["histogram"]["counts"]) == 1
    assert {found["id"] for found in checked["findings"]} == {"data_bad_rows"}
    recipe["data"]["on_bad_row"] = "skip"
    assert worker.ask("check", recipe=recipe)["ok"]


def test_a_format_is_registered_once(worker: Worker, tmp_path: Path) -> None:
    file = rows_file(tmp_path, [{"question": "What?", "answer": "This."}])
    entry = {"file_name": str(file), "columns": {"prompt": "question", "response": "answer"}}
    done = worker.ask("register", name="mine", entry=entry, dataset_dir="data")
    assert done["file"] == str(tmp_path / "data" / "dataset_info.json")
    assert json.loads(Path(done["file"]).read_text()) == {"mine": entry}
    assert worker.ask("register", name="mine", entry=entry, dataset_dir="data")["code"] == "exists"
    assert worker.ask("register", name="mine", entry=entry, dataset_dir="data", replace=True)["event"] == "registered"
    assert worker.ask("open", set="mine", recipe=tables(None))["set"] == "mine"
    assert "file_nam" in worker.ask("register", name="x", entry={"file_nam": "y"}, dataset_dir="data")["text"]


def test_a_hub_set_that_is_not_here_is_not_fetched_unasked(worker: Worker) -> None:
    answer = worker.ask("open", set="hf://someone/rows", recipe=tables(None))
    assert (answer["event"], answer["code"]) == ("error", "not_downloaded")


def test_templates_are_listed(worker: Worker) -> None:
    answer = worker.ask("templates")
    named = {item["name"]: item for item in answer["templates"]}
    assert named["chatml"]["stop_words"] == ["<|im_end|>"]
    assert "qwen" in answer["tool_formats"]
    assert all(item["reason"] for item in answer["unmapped"])


def test_mistakes_are_answered_and_the_worker_goes_on(worker: Worker, tmp_path: Path) -> None:
    worker.write("no json")
    assert worker.next()["event"] == "error"
    worker.write('{"do": "list"}')
    assert "needs an id" in worker.next()["text"]
    assert "unknown request" in worker.ask("lisst")["text"]
    assert worker.ask("view", row=0)["code"] == "nothing_open"
    assert "does not exist" in worker.ask("open", set="nowhere.jsonl", recipe={})["text"]
    assert "stage" in worker.ask("list", recipe={"method": {"stage": "nonsense"}})["text"]
    assert worker.ask("rows", first=-1)["event"] == "error"
    (tmp_path / "empty.jsonl").write_text("")
    opened = worker.ask("open", set="empty.jsonl", recipe={})
    assert "holds no rows" in opened["unfit"]
    assert opened["format"] is None


def test_it_ends_with_its_input(worker: Worker) -> None:
    assert worker.end() == 0


def test_it_imports_no_torch() -> None:
    code = (
        "import sys; import trainer.data.worker; "
        "print(sorted({'torch', 'transformers', 'trl', 'datasets', 'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
