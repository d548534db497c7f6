"""Exact ids and labels of every stage and shape of row, against a plain and slow reference: the text of each row is
written out here, tokenized whole, and each token looked at.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from tests.trainer.data.chat_templates import CHATML, LLAMA2
from tests.trainer.data.conftest import MakeModel, train_backend
from trainer.data import EncodedRows, load_tokenizer
from trainer.data.encode import EncodeOptions
from trainer.data.pipeline import Encoded, PipelineOptions, encode_datasets
from trainer.data.report import DataReport
from trainer.errors import UserError

Encode = Callable[..., Encoded]
Part = tuple[str, bool]

TOOLS = (
    "{% if tools %}{{ '<|im_start|>tools\\n' + (tools | tojson) + '<|im_end|>\\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + (message.content or '') }}"
    "{% for call in message.tool_calls or [] %}"
    "{{ '[' + call.function.name + ' ' + (call.function.arguments | tojson) + ']' }}{% endfor %}"
    "{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
WORDS = [
    "the",
    "answer",
    "is",
    "don't",
    "12",
    "1234",
    "你好",
    "é",
    "  ",
    "\n",
    "\n\n",
    "...",
    "What?",
    "Yes!",
    "a",
    "A-b",
]


@pytest.fixture(scope="module")
def backend() -> Tokenizer:
    """The tokenizer of the model folders, with offsets that its post-processor has not trimmed."""
    plain = train_backend()
    plain.post_processor = None
    return plain


@pytest.fixture
def encode(make_model: MakeModel, tmp_path: Path) -> Encode:
    """Encodes rows from a file with a model of the given template."""

    def run(rows: Sequence[Any], stage: str = "sft", template: str = CHATML, **options: Any) -> Encoded:
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        model = tmp_path / "model"
        tokenizer = load_tokenizer(model if model.exists() else make_model(template))
        encoding = EncodeOptions(stage=stage, **options)
        return encode_datasets((str(file),), tokenizer, PipelineOptions(encoding, dataset_dir=str(tmp_path)))

    return run


def some_text(generator: random.Random) -> str:
    """Words of all kinds, with something in it that is not white space."""
    return "x".join(" ".join(generator.choices(WORDS, k=generator.randint(0, 12))) for _ in range(2))


def chatml(*turns: tuple[str, str]) -> list[Part]:
    """A dialogue as text parts and whether they are learned."""
    parts: list[Part] = []
    for role, content in turns:
        learned = role == "assistant"
        parts += [(f"<|im_start|>{role}\n", False), (f"{content}<|im_end|>", learned), ("\n", False)]
    return parts


def plainly(backend: Tokenizer, parts: Sequence[Part]) -> tuple[list[int], list[int]]:
    """Ids and labels: a token is learned if it holds a character of a part that is."""
    learned = [is_learned for text, is_learned in parts for _ in text]
    encoding = backend.encode("".join(text for text, _ in parts), add_special_tokens=False)
    labels = [
        identifier if any(learned[start:end]) else -100
        for identifier, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
    ]
    return list(encoding.ids), labels


def assert_same(rows: EncodedRows, backend: Tokenizer, expected: Sequence[Sequence[Part]]) -> None:
    assert len(rows) == len(expected)
    for row, parts in zip(rows, expected, strict=True):
        assert (row.input_ids, row.labels) == plainly(backend, parts), parts


def test_alpaca_rows(encode: Encode, backend: Tokenizer) -> None:
    generator = random.Random(1)
    rows, expected = [], []
    for number in range(200):
        question, query, answer = (some_text(generator) for _ in range(3))
        row: dict[str, Any] = {"instruction": question, "input": query if number % 2 else "", "output": answer}
        turns = [("user", f"{question}\n{query}" if number % 2 else question), ("assistant", answer)]
        if number % 3 == 0:
            row["history"] = [["before", "that"], ["and", answer]]
            turns = [("user", "before"), ("assistant", "that"), ("user", "and"), ("assistant", answer), *turns]
        row["system"] = "Be brief." if number % 5 == 0 else ""
        if number % 5 == 0:
            turns.insert(0, ("system", "Be brief."))
        rows.append(row)
        expected.append(chatml(*turns))
    assert_same(encode(rows).rows, backend, expected)


@pytest.mark.parametrize("shape", ["messages", "sharegpt"])
def test_conversations(encode: Encode, backend: Tokenizer, shape: str) -> None:
    generator = random.Random(shape)
    rows, expected = [], []
    for _ in range(200):
        turns = [(("user", "assistant")[n % 2], some_text(generator)) for n in range(2 * generator.randint(1, 4))]
        expected.append(chatml(*turns))
        if shape == "messages":
            rows.append({"messages": [{"role": role, "content": content} for role, content in turns]})
        else:
            names = {"user": "human", "assistant": "gpt"}
            rows.append({"conversations": [{"from": names[role], "value": content} for role, content in turns]})
    assert_same(encode(rows).rows, backend, expected)


def test_a_template_that_trims_and_has_no_special_tokens_between_turns(encode: Encode, backend: Tokenizer) -> None:
    generator = random.Random(3)
    rows, expected = [], []
    for _ in range(100):
        question, answer = some_text(generator), some_text(generator)
        rows.append({"instruction": question, "output": answer})
        prompt = f"<s>[INST] {question.strip()} [/INST]"
        expected.append([(prompt, False), (f" {answer.strip()} </s>", True)])
    assert_same(encode(rows, template=LLAMA2).rows, backend, expected)


def test_tools_and_calls(encode: Encode, backend: Tokenizer) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    turns = [
        {"from": "human", "value": "Where is it?"},
        {"from": "function_call", "value": '{"name": "look", "arguments": {"at": "it"}}'},
        {"from": "observation", "value": '{"found": 1}'},
        {"from": "gpt", "value": "Here."},
    ]
    row = {"conversations": turns, "tools": json.dumps([tool])}
    parts = [
        (f"<|im_start|>tools\n{json.dumps([tool])}<|im_end|>\n", False),
        ("<|im_start|>user\nWhere is it?<|im_end|>\n<|im_start|>assistant\n", False),
        ('[look {"at": "it"}]<|im_end|>', True),
        ('\n<|im_start|>tool\n{"found": 1}<|im_end|>\n<|im_start|>assistant\n', False),
        ("Here.<|im_end|>", True),
        ("\n", False),
    ]
    assert_same(encode([row], template=TOOLS).rows, backend, [parts])


def test_text_ends_with_the_end_token(encode: Encode, backend: Tokenizer) -> None:
    texts = ["Some text.\n\nMore of it", "第二", " spaces "]
    end = backend.token_to_id("</s>")
    found = encode([{"text": text} for text in texts], "pt")
    for row, text in zip(found.rows, texts, strict=True):
        assert row.input_ids == row.labels == [*backend.encode(text).ids, end]


def test_text_begins_as_the_tokenizer_begins_it(make_model: MakeModel, encode: Encode, backend: Tokenizer) -> None:
    model = make_model()
    content = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    begin = backend.token_to_id("<s>")
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [begin], "tokens": ["<s>"]}},
    }
    (model / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    assert encode([{"text": "Hello"}], "pt").rows[0].input_ids[0] == begin
    assert begin not in encode([{"instruction": "Hello", "output": "You"}]).rows[0].input_ids


@pytest.mark.parametrize("stage", ["dpo", "rm"])
def test_ranked_rows(encode: Encode, backend: Tokenizer, stage: str) -> None:
    generator = random.Random(4)
    rows, expected = [], []
    for _ in range(100):
        question, good, bad = (some_text(generator) for _ in range(3))
        rows.append({"instruction": question, "input": "", "chosen": f"{good} g", "rejected": f"{bad} b"})
        prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        expected.append((prompt, f"{good} g<|im_end|>", f"{bad} b<|im_end|>"))
    found = encode(rows, stage).rows
    assert len(found) == len(rows)
    for row, (prompt, *answers) in zip(found, expected, strict=True):
        whole = [plainly(backend, [(prompt, False), (answer, True)]) for answer in answers]
        prompts = [[i for i, label in zip(ids, labels, strict=True) if label == -100] for ids, labels in whole]
        ends = [[label for label in labels if label != -100] for _, labels in whole]
        assert prompts[0] == prompts[1]
        assert list(row.columns) == ["prompt_ids", "chosen_ids", "rejected_ids"]
        assert list(row.columns.values()) == [prompts[0], *ends]


GLUED = (
    "{% for message in messages %}{% if message.role == 'user' %}{{ '<s>' + message.content + ' t' }}"
    "{% else %}{{ message.content + '</s>' }}{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(("good", "bad"), [("he name", "x"), ("he name", "he answer"), ("x", "y")])
def test_prompts_that_would_differ_by_a_token_are_tokenized_apart(
    encode: Encode, backend: Tokenizer, good: str, bad: str
) -> None:
    """ " t" and "he" become one token of the answer; where one answer alone has it, the prompts would differ."""
    [row] = encode([{"instruction": "In", "chosen": good, "rejected": bad}], "dpo", GLUED).rows
    prompt, *answers = row.columns.values()

    def tokens(text: str) -> list[int]:
        return list(backend.encode(text, add_special_tokens=False).ids)

    assert len(tokens(" the")) == 1
    if good[0] == bad[0] == "h":
        assert [prompt, *answers] == [tokens("<s>In"), tokens(f" t{good}</s>"), tokens(f" t{bad}</s>")]
    else:
        assert [prompt, *answers] == [tokens("<s>In t"), tokens(f"{good}</s>"), tokens(f"{bad}</s>")]


def test_ranked_dialogues_keep_earlier_answers_in_the_prompt(encode: Encode, backend: Tokenizer) -> None:
    row = {
        "conversations": [
            {"from": "human", "value": "A?"},
            {"from": "gpt", "value": "B."},
            {"from": "human", "value": "C?"},
        ],
        "chosen": {"from": "gpt", "value": "Good."},
        "rejected": {"from": "gpt", "value": "Bad."},
    }
    [found] = encode([row], "dpo").rows
    turns = [("user", "A?"), ("assistant", "B."), ("user", "C?")]
    prompt = "".join(text for text, _ in chatml(*turns)) + "<|im_start|>assistant\n"
    for name, text in {"prompt_ids": prompt, "chosen_ids": "Good.<|im_end|>", "rejected_ids": "Bad.<|im_end|>"}.items():
        assert found.columns[name] == backend.encode(text, add_special_tokens=False).ids


def test_judged_rows(encode: Encode, backend: Tokenizer) -> None:
    rows = [
        {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": answer}], "label": tag}
        for answer, tag in (("Yes.", True), ("No.", False))
    ]
    found = encode(rows, "kto")
    prompt = backend.encode("<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False).ids
    for row, answer, tag in zip(found.rows, ("Yes.", "No."), (True, False), strict=True):
        completion = backend.encode(f"{answer}<|im_end|>", add_special_tokens=False).ids
        assert row.columns == {"prompt_ids": prompt, "completion_ids": completion}
        assert row.kto_tag is tag
    assert [found.rows.kto_tag(number) for number in (0, 1)] == [True, False]
    assert (found.report.desirable, found.report.undesirable) == (1, 1)


@pytest.mark.parametrize("stage", ["ppo", "grpo", "rloo"])
def test_prompts(encode: Encode, backend: Tokenizer, stage: str) -> None:
    rows = [{"instruction": "Count.", "output": "One."}, {"instruction": " Count on. ", "output": "二"}]
    found = encode(rows, stage).rows
    assert [found.expected(0), found.expected(1)] == ["One.", "二"]
    for row, question in zip(found, ("Count.", " Count on. "), strict=True):
        text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        assert row.columns["prompt_ids"] == backend.encode(text, add_special_tokens=False).ids


def cut_figures(report: DataReport) -> tuple[int, int, int, int, int, int]:
    return (
        report.rows_used,
        report.truncated,
        report.dropped,
        report.labels_lost,
        report.ends_lost,
        report.unlabelled_by_cut,
    )


def test_answers_get_the_room_that_the_prompt_leaves(encode: Encode) -> None:
    rows = [{"instruction": "Q", "chosen": "a b c d e f", "rejected": "a"}]
    [whole] = encode(rows, "dpo").rows
    prompt, chosen, rejected = whole.columns.values()
    cutoff = len(prompt) + len(rejected)
    found = encode(rows, "dpo", cutoff_len=cutoff)
    lost = len(chosen) - len(rejected)
    assert list(found.rows[0].columns.values()) == [prompt, chosen[:-lost], rejected]
    assert cut_figures(found.report) == (1, 1, 0, lost, 1, 0)
    assert found.report.lengths.maximum == len(prompt) + len(chosen)
    assert found.rows.lengths()[0] == cutoff
    # Nothing is left of what the better answer has beyond the worse one.
    same = encode([{"instruction": "Q", "chosen": "a b c d e f", "rejected": "a b c d e g"}], "rm", cutoff_len=cutoff)
    assert (len(same.rows), same.report.unlabelled, same.report.unlabelled_by_cut) == (0, 1, 1)


@pytest.mark.parametrize("stage", ["dpo", "kto", "ppo"])
def test_a_prompt_that_fills_everything_is_left_out(encode: Encode, stage: str) -> None:
    row = {"instruction": "long " * 50, "input": ""}
    row |= {"output": "Yes.", "kto_tag": True} if stage == "kto" else {"chosen": "Yes.", "rejected": "No."}
    if stage == "ppo":
        row = {"instruction": "long " * 50, "output": "Yes."}
    found = encode([row], stage, cutoff_len=20)
    assert len(found.rows) == 0
    assert (found.report.unlabelled, found.report.unlabelled_by_cut) == (1, 1)


def test_long_rows_are_dropped_where_the_recipe_says_so(encode: Encode) -> None:
    rows = [{"instruction": "Q", "output": text} for text in ("short", "long " * 50, "short")]
    found = encode(rows, cutoff_len=30, on_long_row="drop")
    assert [row.source.row for row in found.rows] == [1, 3]
    assert cut_figures(found.report) == (2, 0, 1, 0, 0, 0)


def test_long_rows_are_an_error_that_names_them(encode: Encode, make_model: MakeModel, tmp_path: Path) -> None:
    rows = [{"instruction": "Q", "output": text} for text in ("short", "long " * 50, "longer " * 60)]
    encode(rows)
    options = PipelineOptions(EncodeOptions(30, on_long_row="error"), dataset_dir=str(tmp_path), stop_at_long_row=True)
    names, tokenizer = (str(tmp_path / "rows.jsonl"),), load_tokenizer(tmp_path / "model")
    with pytest.raises(
        UserError, match=r"2 rows are longer than 30 tokens \(.*rows.jsonl:2, .*rows.jsonl:3; the longest"
    ):
        encode_datasets(names, tokenizer, options)
    report = encode_datasets(names, tokenizer, options.for_report()).report
    assert cut_figures(report) == (1, 0, 2, 0, 0, 0)


FICKLE = CHATML.replace("{{ ", "{% set text = message.content %}{{ ", 1).replace(
    "message.content +", "('LONG ' if text | length > 60 else '') + message.content +"
)


def test_a_template_that_looks_at_contents_in_a_hidden_way(encode: Encode, backend: Tokenizer) -> None:
    """No constant of the template is in the contents, so that only the audit finds out; then all rows are done anew."""
    answers = ["many words " * 7 if number % 3 == 0 else "few" for number in range(150)]
    found = encode([{"instruction": "Q", "output": answer} for answer in answers], template=FICKLE)
    for row, answer in zip(found.rows, answers, strict=True):
        written = f"LONG {answer}" if len(answer) > 60 else answer
        assert row.input_ids == plainly(backend, chatml(("user", "Q"), ("assistant", written)))[0]


COMPARING = CHATML.replace("message.content +", "message.content.replace('secret', '***') +")


def test_a_template_that_changes_some_contents(encode: Encode, backend: Tokenizer) -> None:
    answers = ["plain", "a secret", "plain again"]
    found = encode([{"instruction": "Q", "output": answer} for answer in answers], template=COMPARING)
    for row, answer in zip(found.rows, answers, strict=True):
        written = answer.replace("secret", "***")
        assert row.input_ids == plainly(backend, chatml(("user", "Q"), ("assistant", written)))[0]


def test_without_short_ways_the_tokens_are_the_same(encode: Encode, tmp_path: Path) -> None:
    from trainer.data.dataset_reading import DatasetReader
    from trainer.data.pipeline import locate
    from trainer.data.store_encoding import EncodeJob

    generator = random.Random(6)
    found = encode([{"instruction": some_text(generator), "output": some_text(generator)} for _ in range(300)])
    entry = locate(str(tmp_path / "rows.jsonl"), str(tmp_path))
    options = PipelineOptions(EncodeOptions(), dataset_dir=str(tmp_path), batch_size=77)
    job = EncodeJob(entry, entry.files, load_tokenizer(tmp_path / "model"), options, short_ways=False)
    reader = DatasetReader(entry, entry.files, options)
    assert [row for block in job.blocks(reader) for row in EncodedRows([block])] == list(found.rows)
    assert replace(job, short_ways=True).columns() == ("input_ids", "labels")
