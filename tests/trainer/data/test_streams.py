"""Streams: the same for the same seed, all rows in each pass, shared out among processes, bad rows counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.conftest import MakeModel, MakeRecipe, dialogue
from trainer.data import prepare, recipe_tokenizer
from trainer.data.streams import RowStream
from trainer.errors import UserError

ROWS = [dialogue(f"Question {number}?", "Yes. " * (number % 4 + 1)) for number in range(30)]
MakeStream = Callable[..., RowStream]
Tokens = tuple[int, ...]


@pytest.fixture
def stream(make_model: MakeModel, make_recipe: MakeRecipe) -> MakeStream:
    """A stream over rows (ROWS), with values of the recipe by keyword (`data.` is left out)."""
    model = make_model()

    def make(rows: list[Any] | str = ROWS, **values: Any) -> RowStream:
        data = {name: value for name, value in values.items() if "." not in name}
        recipe = make_recipe(model, rows, **{"streaming": True, "buffer_size": 8, **data})
        recipe = recipe.with_values({name: value for name, value in values.items() if "." in name})
        return RowStream(recipe, recipe_tokenizer(recipe))

    return make


def take(stream: RowStream, count: int, shard: int = 0, shards: int = 1) -> list[Tokens]:
    return [tuple(found.input_ids) for found in islice(stream.examples(stream.counts(), shard, shards), count)]


def rows_of(stream: RowStream) -> list[Tokens]:
    """The rows as they are encoded when they are not streamed."""
    recipe = stream.recipe.with_values({"data.streaming": False, "data.on_bad_row": "skip"})
    return [tuple(row.input_ids) for row in prepare(recipe).train]


def test_each_pass_has_every_row_once_and_an_order_of_its_own(stream: MakeStream) -> None:
    streamed = stream()
    found = take(streamed, 90)
    passes = [found[:30], found[30:60], found[60:]]
    for one in passes:
        assert sorted(one) == sorted(rows_of(streamed))
    assert passes[0] != passes[1] != passes[2] != passes[0]
    assert passes[0] != rows_of(streamed)
    assert take(streamed, 90) == found
    assert take(stream(**{"train.seed": 7}), 90) != found


def test_labels_are_those_of_rows_that_are_not_streamed(stream: MakeStream) -> None:
    streamed = stream(**{"method.disable_shuffling": True})
    whole = prepare(streamed.recipe.with_values({"data.streaming": False})).train
    for row, found in zip(whole, streamed.examples(streamed.counts()), strict=False):
        assert (row.input_ids, row.labels, [0]) == (list(found.input_ids), list(found.labels), found.starts)


def test_rows_move_no_further_than_the_buffer_reaches(stream: MakeStream) -> None:
    streamed = stream(buffer_size=3)
    order = [rows_of(streamed).index(found) for found in take(streamed, 30)]
    assert all(row <= place + 3 for place, row in enumerate(order))
    assert (
        take(stream(buffer_size=1), 30) == take(stream(**{"method.disable_shuffling": True}), 30) == rows_of(streamed)
    )


def test_processes_share_the_rows_out(stream: MakeStream) -> None:
    streamed = stream()
    parts = [take(streamed, 10, shard, 3) for shard in range(3)]
    assert sorted(row for part in parts for row in part) == sorted(rows_of(streamed))
    # Two rows for three processes: one has nothing to do, which is no reason to stop.
    assert take(stream(ROWS[:2]), 2, 2, 3) == []


@pytest.mark.parametrize("strategy", ["concat", "interleave_under", "interleave_over", "interleave_once"])
@pytest.mark.parametrize("weighted", [False, True])
def test_streams_mix_as_files_do(stream: MakeStream, tmp_path: Path, strategy: str, weighted: bool) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps(dialogue(f"Other {number}", "No.")) + "\n" for number in range(12)))
    values: dict[str, Any] = {"dataset": [str(tmp_path / "rows.jsonl"), str(other)], "mix_strategy": strategy}
    if weighted and strategy != "concat":
        values["interleave_probs"] = [0.3, 0.7]
    streamed = stream(**values, **{"method.disable_shuffling": True})
    whole = rows_of(streamed)
    assert take(streamed, 2 * len(whole)) == whole + whole


@pytest.mark.parametrize("way", ["packing", "neat_packing"])
def test_packed_sequences_hold_all_rows(stream: MakeStream, way: str) -> None:
    streamed = stream(cutoff_len=64, **{way: True})
    rows = rows_of(streamed)
    found: list[Tokens] = []
    for sequence in streamed.examples(streamed.counts()):
        assert len(sequence.input_ids) == len(sequence.labels) <= 64
        ends = [*sequence.starts[1:], len(sequence.input_ids)]
        assert all(sequence.labels[start] == -100 for start in sequence.starts)
        found += [tuple(sequence.input_ids[start:end]) for start, end in zip(sequence.starts, ends, strict=True)]
        if len(found) >= len(rows):
            break
    assert sorted(found) == sorted(rows)


def test_bad_rows_are_counted_once_with_examples(stream: MakeStream) -> None:
    lines = [json.dumps(row) for row in ROWS]
    lines[3:3] = ["{broken"]
    lines[20:20] = ['{"messages": []}', "[1]"]
    streamed = stream("\n".join(lines) + "\n", on_bad_row="skip")
    counts = streamed.counts()
    assert len(list(islice(streamed.examples(counts), 75))) == 75
    report = counts.report(0.0)
    assert (report.rows_read, report.rows_used, report.rows_bad) == (33, 30, 3)
    assert sorted(item.examples[0].source.line for item in report.bad) == [4, 21, 22]
    assert Counter(finding.id for finding in report.findings(on_bad_row="skip"))["data_bad_rows_skipped"] == len(
        report.bad
    )


def test_a_bad_row_stops_the_stream_where_it_stands(stream: MakeStream) -> None:
    lines = [json.dumps(row) for row in ROWS]
    lines[25:25] = ["{broken"]
    streamed = stream("\n".join(lines) + "\n", buffer_size=1, preprocessing_batch_size=1)
    with pytest.raises(UserError, match=r"rows.jsonl:26: .*on_bad_row=skip"):
        take(streamed, 60)


def test_a_long_row_stops_the_stream_where_the_recipe_says_so(stream: MakeStream) -> None:
    rows = [*ROWS[:9], dialogue("Question?", "Yes. " * 100)]
    with pytest.raises(UserError, match=r"1 row is longer than 64 tokens \(.*rows.jsonl:10"):
        take(stream(rows, cutoff_len=64, on_long_row="error", buffer_size=1), 20)
    dropped = stream(rows, cutoff_len=64, on_long_row="drop")
    counts = dropped.counts()
    found = [tuple(sequence.input_ids) for sequence in islice(dropped.examples(counts), 18)]
    assert sorted(found[:9]) == sorted(found[9:]) == sorted(rows_of(stream(ROWS[:9])))
    assert [finding.id for finding in counts.report(0.0).findings()] == ["data_dropped"]


def test_running_text_streams_in_blocks(stream: MakeStream) -> None:
    texts = [{"text": f"{number} " + "word " * number} for number in range(20)]
    streamed = stream(texts, cutoff_len=16, **{"method.stage": "pt", "method.disable_shuffling": True})
    every = [token for ids in rows_of(streamed) for token in ids]
    found = take(streamed, -(-len(every) // 16))
    assert [token for ids in found for token in ids] == every
    assert {len(ids) for ids in found[:-1]} == {16}


def test_a_stream_of_nothing_is_refused(stream: MakeStream) -> None:
    with pytest.raises(UserError, match="none of the rows of the stream can be used"):
        take(stream('{"messages": []}\n', on_bad_row="skip"), 1)


def test_held_back_rows_never_come(stream: MakeStream) -> None:
    streamed = stream(val_size=6)
    prepared = prepare(streamed.recipe)
    assert prepared.stream is not None
    assert prepared.evaluation is not None
    held = {tuple(row.input_ids) for row in prepared.evaluation}
    assert held == set(
        rows_of(streamed.__class__(streamed.recipe.with_values({"data.val_size": 0}), streamed.tokenizer))[:6]
    )
    assert not held & set(take(prepared.stream, 48))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_data_loader_gets_every_row_from_its_processes(stream: MakeStream, workers: int) -> None:
    from torch.utils.data import DataLoader

    from trainer.data.collate import PaddingCollator, StreamedExamples

    streamed = stream()
    loader = DataLoader(
        StreamedExamples(streamed),
        batch_size=5,
        num_workers=workers,
        collate_fn=PaddingCollator(0),
        prefetch_factor=None,
    )
    rows = [
        tuple(ids[mask == 1].tolist())
        for batch in islice(loader, 6)
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    assert sorted(rows) == sorted(rows_of(streamed))


def test_what_stops_a_process_reaches_the_trainer_in_its_own_words(stream: MakeStream) -> None:
    from torch.utils.data import DataLoader

    from trainer.data.collate import PaddingCollator, StreamedExamples
    from trainer.engine.token_counts import REFUSED, CountingCollator

    streamed = stream("{broken\n")
    loader = DataLoader(
        StreamedExamples(streamed), batch_size=2, num_workers=1, collate_fn=CountingCollator(PaddingCollator(0))
    )
    [batch] = loader
    assert isinstance(batch[REFUSED], UserError)
    assert "rows.jsonl:1" in str(batch[REFUSED])


def test_a_pair_and_its_answers_are_those_of_the_file(stream: MakeStream) -> None:
    rows = [{"instruction": f"{i}?", "chosen": f"Yes {i}.", "rejected": "No." * (i % 3 + 1)} for i in range(6)]
    streamed = stream(rows, **{"method.stage": "dpo", "method.disable_shuffling": True})
    whole = prepare(streamed.recipe.with_values({"data.streaming": False})).train
    found = list(islice(streamed.examples(streamed.counts()), 7))
    for row, (prompt, first, second) in zip([*whole, whole[0]], found, strict=True):
        assert list(prompt) == row.columns["prompt_ids"]
        assert (list(first), list(second)) == (row.columns["chosen_ids"], row.columns["rejected_ids"])


def test_a_judged_answer_goes_with_the_one_behind_it_also_from_pass_to_pass(stream: MakeStream) -> None:
    rows = [{"instruction": f"{i}?", "output": f"Yes {i}.", "kto_tag": i % 2 == 0} for i in range(3)]
    streamed = stream(rows, **{"method.stage": "kto", "method.disable_shuffling": True})
    whole = prepare(streamed.recipe.with_values({"data.streaming": False})).train
    answers = [row.columns["completion_ids"] for row in whole]
    found = list(islice(streamed.examples(streamed.counts()), 4))
    assert [list(each.first) for each in found] == [*answers, answers[0]]
    assert [list(each.second) for each in found] == [*answers[1:], answers[0], answers[1]]
    assert [each.good for each in found] == [True, False, True, True]
