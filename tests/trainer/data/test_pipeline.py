"""Data sets as a whole: parts, progress, streams, and what is only looked at."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.trainer.data.conftest import MakeModel, dialogue
from trainer.data import EncodedExample, load_tokenizer
from trainer.data.encode import EncodeOptions
from trainer.data.encoded_row import EncodedRow
from trainer.data.messages import BadRow
from trainer.data.pipeline import PipelineOptions, encode_datasets, stream_encoded
from trainer.data.tokenizer import TextTokenizer
from trainer.errors import UserError


@pytest.fixture
def tokenizer(make_model: MakeModel) -> TextTokenizer:
    return load_tokenizer(make_model())


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Two data sets of twelve and five rows."""
    names = []
    for name, count in (("first.jsonl", 12), ("second.jsonl", 5)):
        rows = [dialogue(f"{name} {number}", "Yes. " * 9) for number in range(count)]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        names.append(str(tmp_path / name))
    return names[0], names[1]


def options(tmp_path: Path, **values: object) -> PipelineOptions:
    return PipelineOptions(EncodeOptions(), str(tmp_path), **values)  # type: ignore[arg-type]


def test_parts_are_the_data_sets(files: tuple[str, str], tokenizer: TextTokenizer, tmp_path: Path) -> None:
    found = encode_datasets(files, tokenizer, options(tmp_path))
    assert [(name, len(rows)) for name, rows in found.parts] == [(files[0], 12), (files[1], 5)]
    assert [row for _, rows in found.parts for row in rows] == list(found.rows)


def test_progress_counts_over_all_sets_and_estimates_the_total(
    files: tuple[str, str], tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    encode_datasets(files, tokenizer, options(tmp_path, batch_size=5), lambda *figures: seen.append(figures))
    assert [done for done, _ in seen] == [5, 10, 12, 17]
    assert all(total is not None and done <= total for done, total in seen)
    assert seen[2][1] in (12, 13)


def test_a_report_alone_keeps_no_rows(files: tuple[str, str], tokenizer: TextTokenizer, tmp_path: Path) -> None:
    found = encode_datasets(files, tokenizer, options(tmp_path).for_report())
    assert (len(found.rows), found.report.rows_used) == (0, 17)
    whole = encode_datasets(files, tokenizer, options(tmp_path)).report
    assert found.report == whole


def test_rows_are_only_counted_without_a_tokenizer(files: tuple[str, str], tmp_path: Path) -> None:
    report = encode_datasets(files, None, options(tmp_path, limit_rows=7)).report
    assert [(item.rows_read, item.is_partial) for item in report.datasets] == [(7, True), (5, False)]


def test_a_stream_gives_the_same_rows(files: tuple[str, str], tokenizer: TextTokenizer, tmp_path: Path) -> None:
    whole = list(encode_datasets(files, tokenizer, options(tmp_path)).rows)
    assert examples(stream_encoded(files, tokenizer, options(tmp_path))) == whole
    shards = [examples(stream_encoded(files, tokenizer, options(tmp_path), shard=n, shards=3)) for n in range(3)]
    assert shards[1] == [*whole[1:12:3], *whole[13::3]]
    assert sorted(row.source.row for shard in shards for row in shard) == sorted(row.source.row for row in whole)


def examples(rows: Iterable[EncodedRow | BadRow]) -> list[EncodedExample]:
    return [EncodedExample.of(row) for row in rows if isinstance(row, EncodedRow)]


def test_a_stream_has_bad_rows_and_rows_without_labels_in_their_places(
    tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    untrained = dialogue("Q", "A")
    untrained["messages"][1]["train"] = False
    lines = [json.dumps(dialogue("Q", "A")), "{broken", json.dumps(untrained)]
    file.write_text("\n".join(lines), encoding="utf-8")
    good, bad, empty = stream_encoded((str(file),), tokenizer, options(tmp_path))
    assert isinstance(good, EncodedRow)
    assert isinstance(bad, BadRow)
    assert isinstance(empty, EncodedRow)
    assert good.columns["labels"]
    assert bad.reason == "invalid_json"
    assert (empty.left_out, empty.columns, empty.source.row) == ("unlabelled", {}, 3)


def test_a_set_for_another_stage_is_refused(files: tuple[str, str], tokenizer: TextTokenizer, tmp_path: Path) -> None:
    ranked = PipelineOptions(EncodeOptions(stage="dpo"), str(tmp_path))
    with pytest.raises(UserError, match="dpo"):
        encode_datasets(files, tokenizer, ranked)
