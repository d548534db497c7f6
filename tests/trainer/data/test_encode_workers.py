"""Several processes that encode give what one gives, and say so when they cannot."""

from __future__ import annotations

import gc
import gzip
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.trainer.data.conftest import MakeModel, dialogue
from tests.trainer.data.test_encode_stages import FICKLE
from trainer.data import load_tokenizer
from trainer.data.dataset_reading import DatasetReader
from trainer.data.encode import EncodeOptions
from trainer.data.encode_workers import encoded_by_processes
from trainer.data.pipeline import Encoded, PipelineOptions, encode_datasets, locate
from trainer.data.store_encoding import EncodeJob
from trainer.errors import UserError

Run = Callable[..., Encoded]


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines with one core would use one process."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)


@pytest.fixture
def run(tmp_path: Path, make_model: MakeModel) -> Run:
    """Encodes a file of rows with so many processes, nine rows at a time."""

    def encode(file: Path, workers: int, template: str | None = None, **options: object) -> Encoded:
        model = tmp_path / "model"
        if not model.exists():
            make_model(*([] if template is None else [template]))
        settings = PipelineOptions(EncodeOptions(), str(tmp_path), batch_size=9, num_workers=workers)
        return encode_datasets((str(file),), load_tokenizer(model), replace(settings, **options))  # type: ignore[arg-type]

    return encode


def lines(count: int) -> list[str]:
    return [json.dumps(dialogue(f"Q{number}?", "Yes. " * (number % 13))) for number in range(1, count + 1)]


def written(file: Path, content: list[str]) -> Path:
    text = "\n".join(content) + "\n" if file.suffix != ".json" else f"[{', '.join(content)}]"
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(text.encode()))
    else:
        file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.jsonl.gz"])
def test_the_same_rows_in_the_same_order(name: str, run: Run, tmp_path: Path) -> None:
    content = [*lines(50)[:30], "", *lines(50)[30:]] if name == "rows.jsonl" else lines(50)
    file = written(tmp_path / name, content)
    alone, together = (run(file, workers, stop_at_bad_row=False) for workers in (1, 3))
    assert list(together.rows) == list(alone.rows)
    assert together.report == alone.report
    # Every thirteenth answer is empty.
    assert (len(alone.rows), alone.report.rows_bad) == (47, 3)


def test_bad_rows_and_limits(run: Run, tmp_path: Path) -> None:
    content = lines(60)
    content[5] = "{broken"
    content[40] = "[]"
    file = written(tmp_path / "rows.jsonl", content)
    for options in ({"stop_at_bad_row": False}, {"stop_at_bad_row": False, "max_samples": 29}):
        alone, together = run(file, 1, **options), run(file, 2, **options)
        assert together.report == alone.report
        assert [row.source for row in together.rows] == [row.source for row in alone.rows]
    with pytest.raises(UserError, match=r"rows\.jsonl:6"):
        run(file, 2)


def test_the_garbage_collector_is_left_as_it_was(run: Run, tmp_path: Path) -> None:
    before, content = gc.get_threshold(), lines(30)
    content[20] = "[]"
    file = written(tmp_path / "rows.jsonl", content)
    for workers in (1, 2):
        with pytest.raises(UserError):
            run(file, workers)
        assert gc.get_threshold() == before


def test_files_of_a_folder_are_dealt_out_as_one(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    good = [line for number, line in enumerate(lines(40), start=1) if number % 13]
    written(folder / "a.jsonl", good[:20])
    written(folder / "b.json", good[20:25])
    written(folder / "c.jsonl", good[25:])
    assert list(run(folder, 3).rows) == list(run(folder, 1).rows)


def test_a_template_that_patterns_cannot_stand_in_for(run: Run, tmp_path: Path) -> None:
    rows = [dialogue("Q?", "many words " * (9 if number % 3 == 0 else 1)) for number in range(300)]
    file = written(tmp_path / "rows.jsonl", [json.dumps(row) for row in rows])
    assert list(run(file, 2, FICKLE).rows) == list(run(file, 1, FICKLE).rows)


def test_what_a_process_cannot_read_is_said_as_usual(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    written(folder / "a.jsonl", lines(12))
    (folder / "b.jsonl").write_bytes(b"")
    with pytest.raises(UserError, match=r"b.jsonl: the file holds no rows"):
        run(folder, 2)


def test_a_bad_row_of_another_process_comes_before_later_ones_of_this_one(run: Run, tmp_path: Path) -> None:
    content = [line for number, line in enumerate(lines(60), start=1) if number % 13]
    # The second batch is the other process's, the third this one's.
    content[12], content[20] = "[]", "{broken"
    file = written(tmp_path / "rows.jsonl", content)
    with pytest.raises(UserError, match=r"rows\.jsonl:13"):
        run(file, 2)


def test_a_process_that_dies_is_an_error_that_says_so(tmp_path: Path, make_model: MakeModel) -> None:
    file = written(tmp_path / "rows.jsonl", [line for n, line in enumerate(lines(5000), start=1) if n % 13])
    options = PipelineOptions(EncodeOptions(), str(tmp_path), batch_size=5)
    entry = locate(str(file), str(tmp_path))
    before = set(_children(os.getpid()))
    job = EncodeJob(entry, entry.files, load_tokenizer(make_model()), options)
    blocks = encoded_by_processes(job, DatasetReader(entry, entry.files, options), 2)
    next(blocks)
    [child] = sorted(set(_children(os.getpid())) - before)
    os.kill(int(child), signal.SIGKILL)
    with pytest.raises(UserError, match=r"a process that prepares rows ended .*killed by signal 9"):
        list(blocks)
    assert set(_children(os.getpid())) <= before


def _children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()
