"""Writes the bundled data sets of data/: the rows of the demo, a set for each stage, one small sample of each format.

    python -m scripts.make_demo_data

The same script gives the same bytes; a test compares them. Not for the text of pretraining, which is never stored.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts import demo_text as text
from scripts.demo_dialogues import (
    HELPFUL,
    HELPFUL_ZH,
    WEATHER_TOOL,
    conversation,
    identity_exchanges,
    tool_conversation,
)
from scripts.demo_preferences import judged_questions, statements
from scripts.demo_prompts import OPEN_PROMPTS

DATA_FOLDER = Path(__file__).resolve().parent.parent / "data"
REPLAY_ROWS = 180
JUDGED_ROWS = 960
TEXT_ROWS = 240
SAMPLE_ROWS = 6

Row = dict[str, Any]
MESSAGE_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
DATASETS: dict[str, Row] = {
    "identity": {"file_name": "identity.json"},
    "demo_replay": {
        "file_name": "demo_replay.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": MESSAGE_TAGS,
    },
    "demo_preference": {
        "file_name": "demo_preference.jsonl",
        "ranking": True,
        "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"},
    },
    # The better answers alone, to fine-tune on.
    "demo_manners": {
        "file_name": "demo_preference.jsonl",
        "columns": {"prompt": "instruction", "response": "chosen"},
    },
    "demo_kto": {
        "file_name": "demo_kto.jsonl",
        "columns": {"prompt": "instruction", "response": "output", "kto_tag": "kto_tag"},
    },
    "demo_text": {"file_name": "demo_text.jsonl", "columns": {"prompt": "text"}},
    "alpaca_sample": {
        "file_name": "alpaca_sample.json",
        "columns": {"prompt": "instruction", "query": "input", "response": "output", "system": "system"},
    },
    "history_sample": {
        "file_name": "history_sample.json",
        "columns": {"prompt": "instruction", "query": "input", "response": "output", "history": "history"},
    },
    "messages_sample": {
        "file_name": "messages_sample.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": MESSAGE_TAGS,
    },
    "sharegpt_sample": {
        "file_name": "sharegpt_sample.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
    },
    "tools_sample": {
        "file_name": "tools_sample.jsonl",
        "formatting": "openai",
        "columns": {"messages": "messages", "tools": "tools"},
        "tags": {**MESSAGE_TAGS, "observation_tag": "tool", "function_tag": "function"},
    },
    "preference_sample": {
        "file_name": "preference_sample.json",
        "ranking": True,
        "columns": {"prompt": "instruction", "query": "input", "chosen": "chosen", "rejected": "rejected"},
    },
    "kto_sample": {
        "file_name": "kto_sample.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "kto_tag": "label"},
        "tags": MESSAGE_TAGS,
    },
    "text_sample": {"file_name": "text_sample.jsonl", "columns": {"prompt": "text"}},
    "prompts_sample": {"file_name": "prompts_sample.jsonl", "columns": {"prompt": "prompt"}},
}


def identity_rows() -> list[Row]:
    """Who the model is after tuning."""
    pairs = identity_exchanges(text.TUNED, seed=1)
    return [{"instruction": asked, "input": "", "output": answer} for asked, answer in pairs]


def replay_rows() -> list[Row]:
    """General conversations, so that tuning does not forget; none tells the untuned identity, and none uses a tool."""
    rng, rows = random.Random(77), list[Row]()
    while len(rows) < REPLAY_ROWS:
        drawn = conversation(rng)
        told = " ".join(message["content"] for message in drawn.messages)
        if not drawn.tools and text.UNTUNED.name not in told:
            rows.append({"messages": list(drawn.messages)})
    return rows


def demo_preference_rows() -> list[Row]:
    """Pairs of answers for dpo and rm."""
    judged = judged_questions(JUDGED_ROWS, seed=21)
    return [{"instruction": one.question, "chosen": one.better, "rejected": one.worse} for one in judged]


def demo_kto_rows() -> list[Row]:
    """Single answers: the better or the worse one, as it falls."""
    rng, rows = random.Random(24), list[Row]()
    for one in judged_questions(JUDGED_ROWS, seed=22):
        good = rng.random() < 0.5
        rows.append({"instruction": one.question, "output": one.better if good else one.worse, "kto_tag": good})
    return rows


def demo_text_rows() -> list[Row]:
    """Texts of eight statements each."""
    return [{"text": told} for told in statements(TEXT_ROWS, 8, seed=23)]


def _exchanges(rng: random.Random, count: int) -> list[tuple[bool, text.Exchange]]:
    """Different tasks, the languages by turns."""
    tasks = rng.sample(
        ["arithmetic", "capital", "opposite", "sound", "colour", "calendar", "legs", "translation"], count
    )
    return [(place % 2 == 1, text.exchange(rng, place % 2 == 1, task)) for place, task in enumerate(tasks)]


def alpaca_rows(rng: random.Random) -> list[Row]:
    """Instruction, input, output; half of them with a system prompt."""
    rows = list[Row]()
    for place, (chinese, drawn) in enumerate(_exchanges(rng, SAMPLE_ROWS)):
        system = rng.choice(HELPFUL_ZH if chinese else HELPFUL) if place < SAMPLE_ROWS // 2 else ""
        rows.append({"instruction": drawn.question, "input": "", "output": drawn.answer, "system": system})
    words = {
        "instruction": "Repeat after me:",
        "input": "silver river stone",
        "output": "silver river stone",
        "system": "",
    }
    return [*rows, words]


def history_rows(rng: random.Random) -> list[Row]:
    """The last exchange of a conversation, the earlier ones in `history`."""
    rows = list[Row]()
    for _ in range(SAMPLE_ROWS):
        *earlier, (_, last) = _exchanges(rng, 3)
        history = [[drawn.question, drawn.answer] for _, drawn in earlier]
        rows.append({"instruction": last.question, "input": "", "output": last.answer, "history": history})
    return rows


def messages_rows(rng: random.Random) -> list[Row]:
    """OpenAI's messages, each with a system prompt, two exchanges each."""
    rows = list[Row]()
    for _ in range(SAMPLE_ROWS):
        messages: list[Row] = [{"role": "system", "content": rng.choice(HELPFUL)}]
        for _, drawn in _exchanges(rng, 2):
            messages.append({"role": "user", "content": drawn.question})
            messages.append({"role": "assistant", "content": drawn.answer})
        rows.append({"messages": messages})
    return rows


def sharegpt_rows(rng: random.Random) -> list[Row]:
    """ShareGPT's from and value, with the system prompt in a column of its own."""
    rows = list[Row]()
    for _ in range(SAMPLE_ROWS):
        turns = list[Row]()
        for _, drawn in _exchanges(rng, 2):
            turns += [{"from": "human", "value": drawn.question}, {"from": "gpt", "value": drawn.answer}]
        rows.append({"conversations": turns, "system": rng.choice(HELPFUL)})
    return rows


def tools_rows(rng: random.Random) -> list[Row]:
    """OpenAI's tool calls, with the list of tools in each row."""
    drawn = [tool_conversation(rng, chinese=place % 2 == 1) for place in range(SAMPLE_ROWS)]
    return [{"messages": list(row.messages), "tools": [WEATHER_TOOL]} for row in drawn]


def _answers(rng: random.Random) -> list[tuple[str, str, str]]:
    """Questions, each with its right answer and with the answer to another question of its kind."""
    found = list[tuple[str, str, str]]()
    for chinese, drawn in _exchanges(rng, SAMPLE_ROWS):
        other = drawn
        while other.answer == drawn.answer:
            other = text.exchange(rng, chinese, drawn.task)
        found.append((drawn.question, drawn.answer, other.answer))
    return found


def preference_rows(rng: random.Random) -> list[Row]:
    """A right and a wrong answer to each question."""
    return [
        {"instruction": question, "input": "", "chosen": right, "rejected": wrong}
        for question, right, wrong in _answers(rng)
    ]


def kto_rows(rng: random.Random) -> list[Row]:
    """Single answers, right ones and wrong ones by turns, each marked as what it is."""
    rows = list[Row]()
    for place, (question, right, wrong) in enumerate(_answers(rng)):
        good = place % 2 == 0
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": right if good else wrong}]
        rows.append({"messages": turns, "label": good})
    return rows


def text_rows(rng: random.Random) -> list[Row]:
    """Plain text for pre-training, two statements each."""
    drawn = [[one.answer for _, one in _exchanges(rng, 2)] for _ in range(SAMPLE_ROWS)]
    return [{"text": " ".join(answers)} for answers in drawn]


def write(folder: Path, name: str, rows: Sequence[Row] | Row) -> None:
    """A list as .json with one row a line or as .jsonl, an object as indented .json."""
    if isinstance(rows, dict):
        body = json.dumps(rows, indent=2, ensure_ascii=False)
    else:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        body = "\n".join(lines) if name.endswith(".jsonl") else "[\n  " + ",\n  ".join(lines) + "\n]"
    (folder / name).write_text(body + "\n", encoding="utf-8")


def write_all(folder: Path) -> None:
    """All data files and their register."""
    rng = random.Random(7)
    write(folder, "identity.json", identity_rows())
    write(folder, "demo_replay.jsonl", replay_rows())
    write(folder, "demo_preference.jsonl", demo_preference_rows())
    write(folder, "demo_kto.jsonl", demo_kto_rows())
    write(folder, "demo_text.jsonl", demo_text_rows())
    write(folder, "alpaca_sample.json", alpaca_rows(rng))
    write(folder, "history_sample.json", history_rows(rng))
    write(folder, "messages_sample.jsonl", messages_rows(rng))
    write(folder, "sharegpt_sample.json", sharegpt_rows(rng))
    write(folder, "tools_sample.jsonl", tools_rows(rng))
    rng = random.Random(11)
    write(folder, "preference_sample.json", preference_rows(rng))
    write(folder, "kto_sample.jsonl", kto_rows(rng))
    write(folder, "text_sample.jsonl", text_rows(rng))
    write(folder, "prompts_sample.jsonl", [{"prompt": prompt} for prompt in OPEN_PROMPTS])
    write(folder, "dataset_info.json", DATASETS)


def main() -> None:
    """Command line: another folder than data/, if wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=DATA_FOLDER)
    write_all(parser.parse_args().folder)


if __name__ == "__main__":
    main()
