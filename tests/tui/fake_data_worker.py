"""A stand-in for `python -m trainer data`: the same protocol over real pipes, with made-up sets. Not run by pytest.

`identity` has three plain rows, `ranked` is unfit for sft, `long` has a row of 100,000 characters, `counted` learns of
its rows bit by bit, `hub` must be downloaded, `crash` ends the process, `broken` cannot be opened. A check of `slow`
goes on until it is cancelled, a search for "slow" too. Row 2 of `identity` is bad.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

output_lock = threading.Lock()
cancelled: set[int] = set()
state: dict[str, Any] = {"open": None, "entry": None, "downloaded": False}

ROWS = [
    {"instruction": "Who are you?", "input": "", "output": "I am Tim."},
    {"instruction": "你是谁？", "input": "", "output": "我是小舵。\n很高兴见到你。"},
    {"instruction": "What for?", "input": ""},
]
LONG = {"instruction": "Read.", "input": "", "output": "word " * 20_000 + "THE END"}
PROBLEM = {
    "reason": "no_answer",
    "title": "row without an answer",
    "text": "the column output is missing",
    "hint": "Name the column of the answer",
    "place": "identity.json:9",
}
ENTRY = {"formatting": "alpaca", "columns": {"prompt": "instruction", "query": "input", "response": "output"}}


def say(**event: Any) -> None:
    with output_lock:
        print(json.dumps(event, ensure_ascii=False), flush=True)


def rows_of(name: str) -> list[dict[str, Any]]:
    return [ROWS[0], LONG] if name == "long" else ROWS


def rendered(row: dict[str, Any], part: str) -> tuple[str, list[list[int]]]:
    before = f"<user>{row['instruction']}\n<assistant>"
    answer = f"{part} " * (part != "whole") + str(row["output"]) + "<end>"
    return before + answer + "\n", [[len(before), len(before) + len(answer)]]


def tokens(row: dict[str, Any], part: str) -> list[list[Any]]:
    whole, ((first, end),) = rendered(row, part)
    found: list[list[Any]] = []
    at = 0
    for word in whole.replace("\n", "\n\0").replace(" ", "\0 ").replace(">", ">\0").replace("<", "\0<").split("\0"):
        if word:
            found.append([word, 100 + len(found), int(first <= at < end)])
            at += len(word)
    return found


def data_sets() -> list[dict[str, Any]]:
    common = {"kind": "file", "size": 1200, "row_kind": "answers", "stages": ["sft"], "unfit": None, "problem": None}
    return [
        {**common, "name": "identity", "source": "identity.json", "files": ["identity.json"], "shape": "alpaca (…)"},
        {
            **common,
            "name": "ranked",
            "source": "ranked.json",
            "files": ["ranked.json"],
            "shape": "alpaca (…)",
            "row_kind": "ranked",
            "stages": ["dpo", "rm"],
            "unfit": "a ranked data set cannot be used for sft; it is for dpo and rm",
        },
        {**common, "name": "long", "source": "long.jsonl", "files": ["long.jsonl"], "shape": "alpaca (…)"},
        {**common, "name": "counted", "source": "counted.jsonl", "files": ["counted.jsonl"], "shape": "alpaca (…)"},
        {**common, "name": "hub", "source": "hf://owner/hub", "kind": "hub", "files": [], "size": None, "shape": None},
        {
            **common,
            "name": "broken",
            "source": "broken.json",
            "files": [],
            "size": None,
            "shape": None,
            "problem": "broken.json:3: not JSON",
        },
    ]


def list_sets(request: dict[str, Any]) -> None:
    stage = request["recipe"]["method"]["stage"]
    say(event="listed", id=request["id"], folder="data", info_file=None, stage=stage, sets=data_sets(), problems=[])


def open_set(request: dict[str, Any]) -> None:
    name, number = request["set"], request["id"]
    if name == "crash":
        print("MemoryError: too large", file=sys.stderr, flush=True)
        os._exit(3)
    if name == "broken":
        say(event="error", id=number, code=None, text="broken.json:3: not JSON. Mend the line")
        return
    if name == "hub" and not request.get("download"):
        say(event="error", id=number, code="not_downloaded", text="hf://owner/hub is not on this machine")
        return
    entry = {**ENTRY, **request.get("entry", {})}
    state.update(open=name, entry=entry)
    columns = entry.get("columns", {})
    mapping = [
        {"kind": "column", "name": place, "value": columns.get(place), "detected": "entry" not in request}
        for place in ("prompt", "query", "response", "system")
    ]
    form = {
        "text": f"{entry['formatting']} ({', '.join(columns.values())})",
        "shape": entry["formatting"],
        "row_kind": "ranked" if name == "ranked" else "answers",
        "mapping": mapping,
        "entry": entry,
    }
    ranked = name == "ranked"
    model = request["recipe"]["model"].get("model_name_or_path")
    say(
        event="opened",
        id=number,
        set=name,
        stage=request["recipe"]["method"]["stage"],
        files=[{"path": f"{name}.json", "size": 1200}],
        format=form,
        columns=["instruction", "input", "output"],
        unfit=data_sets()[1]["unfit"] if ranked else None,
        stages=["dpo"] if ranked else ["sft"],
        template={"name": request["recipe"]["data"].get("template"), "model": model} if model else None,
        no_tokens=None if model else "no model is chosen",
        parts=["chosen", "rejected"] if ranked else ["whole"],
        known=1 if name == "counted" else len(rows_of(name)),
        complete=name != "counted",
    )
    if name == "counted":
        for known in (2, 3):
            time.sleep(0.05)
            say(event="indexed", id=number, known=known, complete=known == 3)


def view(request: dict[str, Any]) -> None:
    if state["open"] is None:
        say(event="error", id=request["id"], code="nothing_open", text="open a set first")
        return
    row = rows_of(state["open"])[request["row"]]
    what, first = request["what"], request["offset"]
    last = first + request["count"]
    common = {
        "event": "view",
        "id": request["id"],
        "row": request["row"],
        "what": what,
        "part": request["part"],
        "file": f"{state['open']}.json",
        "file_row": request["row"] + 1,
        "line": request["row"] * 5 + 2,
        "problem": None if "output" in row else PROBLEM,
        "offset": first,
        "total": 0,
    }
    if what == "raw":
        whole = json.dumps(row, ensure_ascii=False, indent=2)
        say(**{**common, "total": len(whole), "text": whole[first:last]})
    elif "output" not in row:
        say(**common)
    elif what == "rendered":
        whole, answers = rendered(row, request["part"])
        say(**{**common, "total": len(whole), "text": whole[first:last], "answers": answers})
    else:
        found = tokens(row, request["part"])
        cut = state["open"] == "long"
        counts = {"trained": sum(one[2] for one in found), "full_length": len(found) + 7 * cut, "cut": cut}
        say(**{**common, "total": len(found), "tokens": found[first:last], **counts, "has_end": True})


def rows(request: dict[str, Any]) -> None:
    found = [
        {
            "number": at,
            "file": f"{state['open']}.json",
            "row": at + 1,
            "line": at + 1,
            "text": str(row),
            "problem": None,
        }
        for at, row in enumerate(rows_of(state["open"]))
    ]
    chosen = found[request["first"] : request["first"] + request["count"]]
    say(event="rows", id=request["id"], first=request["first"], rows=chosen, known=len(found), complete=True)


def search(request: dict[str, Any]) -> None:
    words, number = request["text"].lower(), request["id"]
    while words == "slow":
        say(event="progress", id=number, done=1000)
        if number in cancelled:
            say(event="cancelled", id=number)
            return
        time.sleep(0.02)
    found = [
        at for at, row in enumerate(rows_of(state["open"])) if words in json.dumps(row, ensure_ascii=False).lower()
    ]
    if request["backwards"]:
        found = [at for at in reversed(found) if at <= request["first"]]
    else:
        found = [at for at in found if at >= request["first"]]
    say(event="found", id=number, row=found[0] if found else None)


def check(request: dict[str, Any]) -> None:
    number, sets = request["id"], request["sets"]
    while "slow.json" in sets:
        say(event="progress", id=number, done=500, total=1000, set="slow.json")
        if number in cancelled:
            say(event="cancelled", id=number)
            return
        time.sleep(0.02)
    say(event="progress", id=number, done=3, total=3, set=sets[0])
    bad = {
        "reason": "no_answer",
        "title": PROBLEM["title"],
        "count": 1,
        "examples": [
            {
                "place": "identity.json:9",
                "file": "identity.json",
                "row": 3,
                "line": 9,
                "text": PROBLEM["text"],
                "hint": "x",
            }
        ],
    }
    report = {
        "rows_read": 3,
        "rows_used": 2,
        "rows_bad": 1,
        "bad": [bad],
        "sets": [{"name": name, "format": "alpaca", "rows_read": 3, "rows_used": 2, "partial": False} for name in sets],
        "truncated": 1,
        "cutoff_len": 96,
        "on_long_row": "truncate",
        "lengths": {"minimum": 12, "median": 40, "p95": 90, "p99": 120, "maximum": 130},
        "histogram": {"edges": [0, 64, 128, 192], "counts": [20, 10, 1]},
        "tokens": 12345,
        "trained_tokens": 2345,
        "padding": {"batch_size": 2, "unpacked": 0.35, "packed": 0.02, "sequences": 12},
        "ends": {"answers": 2, "with_end": 1, "share": 0.5},
        "kto": None,
        "seconds": 0.25,
    }
    change = {"data.cutoff_len": 128} if request["recipe"]["data"]["cutoff_len"] != 128 else {}
    advice = {"id": "", "severity": "warning", "fields": [], "text": "1 row was cut.", "values": {}, "change": change}
    say(event="checked", id=number, ok="bad" not in sets, report=report, findings=[advice])


def register(request: dict[str, Any]) -> None:
    if request["name"] == "identity" and not request["replace"]:
        say(event="error", id=request["id"], code="exists", text="identity is registered already")
        return
    Path("registered.json").write_text(json.dumps({request["name"]: request["entry"]}), encoding="utf-8")
    say(event="registered", id=request["id"], name=request["name"], file="data/dataset_info.json")


def templates(request: dict[str, Any]) -> None:
    say(event="templates", id=request["id"], templates=[{"name": "chatml"}, {"name": "qwen"}], unmapped=[])


VERBS = {
    "list": list_sets,
    "open": open_set,
    "view": view,
    "rows": rows,
    "search": search,
    "check": check,
    "register": register,
    "templates": templates,
}


def main() -> None:
    say(event="ready")
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "cancel":
            cancelled.add(request["id"])
        elif request["do"] == "quit":
            break
        else:
            threading.Thread(target=VERBS[request["do"]], args=(request,), daemon=True).start()


if __name__ == "__main__":
    main()
