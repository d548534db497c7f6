"""A stand-in for `python -m trainer chat`: the same protocol over real pipes, without torch. Not collected by pytest.

What it answers depends on the prompt: "slow ..." streams until it is stopped, "crash" ends the process, "refuse" is an
error, "settings" and "messages" answer with what was received; anything else is repeated after the model's name. The
score of an answer is its number of characters, less a hundred for each turn before the prompt.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

stop = threading.Event()
output_lock = threading.Lock()


loading: dict[str, Any] = {}


def say(**event: Any) -> None:
    with output_lock:
        print(json.dumps(event, ensure_ascii=False), flush=True)


def fails(number: int, prompt: str) -> bool:
    """Die or refuse where the prompt says so."""
    if prompt == "crash":
        print("RuntimeError: out of memory", file=sys.stderr, flush=True)
        os._exit(3)
    if prompt == "refuse":
        say(event="error", id=number, text="the model\ncannot do this")
    return prompt == "refuse"


def answer(request: dict[str, Any]) -> None:
    number, messages = request["id"], request["messages"]
    prompt = messages[-1]["content"]
    if fails(number, prompt):
        return
    name = "tuned" if request["adapter"] else "base"
    whole = {
        "loading": json.dumps(loading),
        "settings": json.dumps(request["settings"]),
        "messages": json.dumps(messages, ensure_ascii=False),
    }.get(prompt, f"{name}: {prompt}")
    started, said = time.monotonic(), ""
    pieces = iter(lambda: "word ", None) if prompt.startswith("slow") else iter([whole[:4], whole[4:]])
    count = 0
    for piece in pieces:
        if stop.is_set():
            break
        said, count = said + piece, count + 1
        say(event="token", id=number, text=piece)
        if prompt.startswith("slow"):
            time.sleep(0.01)
    seconds = time.monotonic() - started
    say(
        event="done",
        id=number,
        text=said,
        prompt_tokens=len(prompt),
        new_tokens=count,
        seconds=seconds,
        stopped=stop.is_set(),
    )


def score(request: dict[str, Any]) -> None:
    number, messages = request["id"], request["messages"]
    prompt = messages[-1]["content"]
    if fails(number, prompt):
        return
    for place, turns in enumerate(request["answers"]):
        while prompt.startswith("slow") and place > 0 and not stop.is_set():
            time.sleep(0.01)
        if stop.is_set():
            break
        say(event="score", id=number, answer=place, score=len(turns[-1]["content"]) - 100.0 * (len(messages) - 1))
    say(event="done", id=number, seconds=0.1, stopped=stop.is_set())


DO = {"score": score, "generate": answer}


def load(request: dict[str, Any]) -> None:
    loading.clear()
    loading.update(request.get("loading") or {})
    if "missing" in request["model"]:
        say(event="error", id=request["id"], text=f"{request['model']}: no such model")
        return
    if "slow" in request["model"]:
        time.sleep(30)
    print("a library prints on standard output", flush=True)
    say(event="loaded", id=request["id"], name=request["model"], device="cpu", has_adapter=bool(request["adapter"]))


def main() -> None:
    say(event="ready")
    work: threading.Thread | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "stop":
            stop.set()
        elif request["do"] == "quit":
            break
        else:
            if work is not None:
                work.join()
            stop.clear()
            work = threading.Thread(target=DO.get(request["do"], load), args=(request,), daemon=True)
            work.start()


if __name__ == "__main__":
    main()
