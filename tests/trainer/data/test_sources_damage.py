"""Files damaged at random places: never a traceback, never an endless loop, and rows before the damage still come."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from trainer.data.browse import RowBrowser
from trainer.data.messages import BadRow, RawRow
from trainer.data.registry import scan_info
from trainer.data.sources import read_rows
from trainer.errors import UserError

KINDS = ("lines.jsonl", "array.json", "tall.json", "documents.json", "a.csv", "a.tsv", "a.txt", "array.json.gz")
ROUNDS = 40


def some_rows(chance: random.Random) -> list[dict[str, Any]]:
    """Rows of letters that matter to one format or another."""

    def text(longest: int) -> str:
        return "".join(chance.choices('ab"\\\n,é汉{}[]:\t', k=chance.randrange(longest)))

    return [{"q": text(60), "list": [{"k": text(9)}] * chance.randrange(3)} for _ in range(chance.randrange(1, 25))]


def written(kind: str, rows: list[dict[str, Any]]) -> bytes:
    """The rows as a file of the kind."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    if kind.startswith("array"):
        return ("[\n" + ",\n".join(lines) + "\n]").encode()
    if kind.startswith("tall"):
        return json.dumps(rows, indent=1).encode()
    if kind.startswith("documents"):
        return "\n".join(json.dumps(row, indent=2) for row in rows).encode()
    if kind.endswith((".csv", ".tsv")):
        out = io.StringIO()
        writer = csv.writer(out, delimiter="\t" if kind.endswith(".tsv") else ",")
        writer.writerows([["q", "number"], *([row["q"], len(row["list"])] for row in rows)])
        return out.getvalue().encode()
    return "\n".join(lines).encode()


def damaged(chance: random.Random, content: bytes) -> tuple[bytes, int]:
    """The content with something changed, taken out or put in, and where."""
    place = chance.randrange(len(content))
    what = chance.choice((b"", b"", b"{", b'"', b"]", b",\n", b"\\", b"\0", b"\xff", b"\r", b'{"q": 1}'))
    end = place + (chance.randrange(1, 30) if not what else chance.randrange(2))
    return content[:place] + what + content[end:], place


def read(file: Path) -> list[RawRow | BadRow] | UserError:
    """The rows, or why there are none."""
    try:
        return list(read_rows(file))
    except UserError as error:
        return error


@pytest.mark.parametrize("kind", KINDS)
def test_damage_costs_what_it_hits(tmp_path: Path, kind: str) -> None:
    chance = random.Random(kind)
    for number in range(ROUNDS):
        content = written(kind, some_rows(chance))
        file = tmp_path / f"{number}{kind}"
        file.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
        whole = read(file)
        assert isinstance(whole, list)
        assert not any(isinstance(row, BadRow) for row in whole)
        broken, place = damaged(chance, content)
        file.write_bytes(gzip.compress(broken) if kind.endswith(".gz") else broken)
        rows = read(file)
        line = content.count(b"\n", 0, place) + 1
        if isinstance(rows, UserError):
            assert str(file) in str(rows)
            assert not any(row.source.line < line - 1 for row in whole[:-1])
            continue
        assert [row.source.row for row in rows] == list(range(1, len(rows) + 1))
        if kind in ("lines.jsonl", "a.txt"):
            before = [row for row in whole if row.source.line < line]
            assert rows[: len(before)] == before
        assert_browsed(file, rows)


def assert_browsed(file: Path, rows: list[RawRow | BadRow]) -> None:
    """A screen sees the same as the training."""
    browser = RowBrowser([file])
    for _ in range(len(rows) + 2):
        browser.extend(0)
    assert browser.is_complete
    assert browser.read(0, len(rows) + 1) == rows
    browser.close()


def test_a_gzip_file_cut_anywhere(tmp_path: Path) -> None:
    lines = [json.dumps({"q": str(number * 7919)}) for number in range(300)]
    packed = gzip.compress("\n".join(lines).encode())
    file = tmp_path / "a.jsonl.gz"
    for end in range(1, len(packed), 37):
        file.write_bytes(packed[:end])
        rows = read(file)
        if isinstance(rows, list):
            assert isinstance(rows[-1], BadRow)
            assert [row.value for row in rows if isinstance(row, RawRow)] == [
                json.loads(line) for line in lines[: len(rows) - 1]
            ]
            assert_browsed(file, rows)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_damaged_registry(tmp_path: Path, indent: int | None) -> None:
    chance = random.Random(5)
    entries = {f"set{number}": {"file_name": f"{number}.json", "columns": {"prompt": "q"}} for number in range(12)}
    content = json.dumps(entries, indent=indent).encode()
    file = tmp_path / "dataset_info.json"
    lost = 0
    for _ in range(200):
        broken, _ = damaged(chance, content)
        file.write_bytes(broken)
        try:
            info = scan_info(file)
        except UserError:
            continue
        assert info.is_whole == _is_json(broken)
        assert info.is_whole or info.problems
        lost += sum(name not in info.values for name in entries)
    assert lost < (400 if indent else 1600)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
