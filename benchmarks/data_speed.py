"""How fast rows become tokens, and in how much memory: `python -m benchmarks.data_speed [--rows 50000] [--million]`.

Makes its own rows (alpaca shape, about 840 characters, words by Zipf's law), its own tokenizer (byte-level BPE of 8,192
tokens, split as Qwen's) and a ChatML template, all in a temporary folder. Prints a table; each line is measured in a
process of its own, whose children count too. Other work on the machine disturbs rows a second, hardly CPU microseconds.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 40_000
"""Different words that the rows are made of."""


def rows(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Rows of about 840 characters."""
    generator = random.Random(seed)
    words = _words(generator)
    weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    for _ in range(count):
        chosen = iter(generator.choices(words, cum_weights=weights, k=230))
        instruction = _sentences(generator, chosen, 1)
        yield {
            "instruction": instruction,
            "input": "",
            "output": _sentences(generator, chosen, generator.randint(6, 14)),
        }


def _words(generator: random.Random) -> list[str]:
    syllables = [a + b for a in "bcdfghjklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "in", "on", "es")]
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        # Frequent words are short.
        most = 1 + min(3, len(words) // 120)
        words["".join(generator.choices(syllables, k=generator.randint(1, most)))] = None
    return list(words)


def _sentences(generator: random.Random, words: Iterator[str], count: int) -> str:
    text = ""
    for number in range(count):
        sentence = " ".join(itertools.islice(words, generator.randint(6, 18)))
        if generator.random() < 0.15:
            sentence += f" {generator.randint(1, 2000)}"
        if generator.random() < 0.3:
            sentence = sentence.replace(" ", ", ", 1)
        text += (
            ("\n\n" if number % 5 == 4 else " " if text else "") + sentence.capitalize() + generator.choice(".....?!")
        )
    return text


def make_model(folder: Path) -> Path:
    """A model folder without weights: tokenizer and template."""
    folder.mkdir()
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8192 - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator((row["output"] for row in rows(4000, seed=1)), trainer)
    backend.add_special_tokens(list(SPECIAL))
    backend.save(str(folder / "tokenizer.json"))
    config = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def measured(arguments: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Wall seconds, CPU seconds and the most memory (bytes, all processes together) of a command; what it printed."""
    before, started = os.times(), time.monotonic()
    process = psutil.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _memory(process))
        time.sleep(0.05)
    wall, after = time.monotonic() - started, os.times()
    output = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{arguments} failed")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "total_wall": wall,
        "total_cpu": cpu,
        "peak": peak,
        **(json.loads(output) if output.startswith("{") else {}),
    }


def _memory(process: psutil.Process) -> int:
    """Resident memory of a process and its children, in bytes; what they share counts once for each."""
    total = 0
    for one in (process, *_children(process)):
        with contextlib.suppress(psutil.Error):
            total += one.memory_info().rss
    return total


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


ENCODE = """
import json, os, sys, time
from trainer.data.encode import EncodeOptions
from trainer.data.pipeline import PipelineOptions, encode_datasets, locate
from trainer.data.store_encoding import EncodeJob, encode_store
from trainer.data.tokenizer import load_tokenizer
model, file, workers, cached, short = sys.argv[1:]
options = PipelineOptions(EncodeOptions(), num_workers=int(workers), cache_from=0 if cached == "1" else 1 << 60)
tokenizer = load_tokenizer(model)
before, start = os.times(), time.monotonic()
if short == "1":
    rows = encode_datasets((file,), tokenizer, options).rows
else:
    entry = locate(file, "data")
    job = EncodeJob(entry, entry.files, tokenizer, options, short_ways=False)
    rows = encode_store(job, None, lambda done, total: None)
wall, after = time.monotonic() - start, os.times()
cpu = sum(after[:4]) - sum(before[:4])
print(json.dumps({"rows": len(rows), "wall": wall, "cpu": cpu}))
"""


def encode_line(
    title: str, model: Path, file: Path, home: Path, *, workers: int, cached: bool = False, short: bool = True
) -> None:
    """One line of the table: a data set encoded in a process of its own."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", ENCODE, str(model), str(file), str(workers), str(int(cached)), str(int(short))]
    found = measured(command, environment)
    count = found["rows"]
    print(
        f"| {title} | {count:,.0f} | {count / found['wall']:,.0f} | {found['cpu'] / count * 1e6:,.0f} | "
        f"{found['wall']:,.1f} | {found['peak'] / 2**20:,.0f} |",
        flush=True,
    )


def write_rows(file: Path, count: int) -> Path:
    """A .jsonl file of generated rows."""
    with file.open("w", encoding="utf-8") as stream:
        for row in rows(count):
            stream.write(json.dumps(row) + "\n")
    return file


def check_line(model: Path, file: Path, home: Path) -> None:
    """`trimtab data check` of a file from the shell."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(home)}
    command = [sys.executable, "-m", "tui", "data", "check", str(file), "--model", str(model)]
    found = measured(command, environment)
    print(f"\ncheck of 1,000 rows from the shell: {found['total_wall']:.2f} s, {found['total_cpu']:.2f} s CPU")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--million", action="store_true", help="measure 1,000,000 rows too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, home = make_model(folder / "model"), folder / "cache"
        file = write_rows(folder / "rows.jsonl", arguments.rows)
        size = sum(len(row["instruction"]) + len(row["output"]) for row in rows(1000)) / 1000
        print(f"{size:.0f} characters a row, {os.cpu_count()} cores\n")
        print("| | rows | rows/s | CPU us/row | seconds | peak MiB |")
        print("|---|---|---|---|---|---|")
        encode_line("long way (any tokenizer), 1 process", model, file, home, workers=1, short=False)
        encode_line("1 process", model, file, home, workers=1)
        encode_line("2 processes", model, file, home, workers=2)
        encode_line("2 processes, stored", model, file, home, workers=2, cached=True)
        encode_line("found in the cache", model, file, home, workers=2, cached=True)
        if arguments.million:
            file = write_rows(folder / "million.jsonl", 1_000_000)
            encode_line("2 processes", model, file, home, workers=2)
            encode_line("2 processes, stored", model, file, home, workers=2, cached=True)
            encode_line("found in the cache", model, file, home, workers=2, cached=True)
        check_line(model, write_rows(folder / "thousand.jsonl", 1000), home)


if __name__ == "__main__":
    main()
