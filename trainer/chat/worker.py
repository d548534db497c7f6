"""The chat worker process: requests as JSON lines on stdin, streamed answers or numbers as JSON lines on stdout.

It ends when stdin closes, so it can never outlive the cockpit. The protocol stands in docs/chat-protocol.md.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any

from trainer.errors import UserError

if TYPE_CHECKING:
    from .loading import LoadedModel
    from .scoring import RewardModel

_SETTINGS = ("max_new_tokens", "repetition_penalty", "num_beams", "length_penalty")
_SAMPLING = ("temperature", "top_p", "top_k")


class ChatWorker:
    """Loads one model at a time and answers, one request after the other; `stop` is heard while it generates."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests = requests
        self._answers = answers
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue()
        self._stop = threading.Event()
        self._loaded: LoadedModel | None = None
        self._judge: RewardModel | None = None

    def serve(self) -> int:
        """Answer until `quit` or the end of stdin."""
        threading.Thread(target=self._read, daemon=True, name="requests").start()
        _import_quietly()
        self._say(event="ready")
        while True:
            request = self._queue.get()
            if request.get("do") == "quit":
                return 0
            try:
                self._answer(request)
            except UserError as error:
                self._say(event="error", id=request.get("id"), text=str(error))
            except Exception as error:
                self._say(event="error", id=request.get("id"), text=_explain(error))

    def _read(self) -> None:
        for line in self._requests:
            try:
                request = json.loads(line)
            except ValueError:
                self._say(event="error", id=None, text="a request was not JSON")
                continue
            if request.get("do") == "stop":
                self._stop.set()
            else:
                if request.get("do") in ("generate", "score"):
                    # Here and not when its turn comes: a stop that is sent right behind it counts.
                    self._stop.clear()
                self._queue.put(request)
        self._stop.set()
        self._queue.put({"do": "quit"})

    def _say(self, **answer: object) -> None:
        try:
            self._answers.write(json.dumps(answer, ensure_ascii=False) + "\n")
            self._answers.flush()
        except (BrokenPipeError, ValueError):
            # The cockpit is gone: nobody is left to talk to.
            os._exit(0)

    def _answer(self, request: dict[str, Any]) -> None:
        verb = request.get("do")
        if verb == "load":
            self._load(request)
        elif verb == "generate":
            self._generate(request)
        elif verb == "score":
            self._score(request)
        else:
            hint = "Expected load, generate, score, stop or quit."
            raise UserError("unknown request", field="do", value=verb, hint=hint)

    def _load(self, request: dict[str, Any]) -> None:
        self._loaded = self._judge = None
        model, adapter, settings = str(request["model"]), request.get("adapter"), request.get("loading")
        if request.get("scores"):
            from .scoring import load_to_score

            judge = self._judge = load_to_score(model, [adapter] if adapter else [], settings)
            told = {"name": judge.name, "device": str(judge.model.device), "has_adapter": False}
        else:
            from .loading import load_for_chat

            loaded = self._loaded = load_for_chat(model, adapter, settings)
            told = {"name": loaded.name, "device": str(loaded.device), "has_adapter": loaded.has_base}
        self._say(event="loaded", id=request.get("id"), **told)

    def _score(self, request: dict[str, Any]) -> None:
        from trainer.data import Message

        if self._judge is None:
            raise UserError("no reward model is loaded", hint="Send a load request with scores first.")
        prompt = [Message.from_template(each) for each in request["messages"]]
        answers = [[Message.from_template(each) for each in answer] for answer in request["answers"]]
        started = time.perf_counter()
        for place, answer in enumerate(answers):
            if self._stop.is_set():
                break
            number = self._judge.score_dialogue([*prompt, *answer], request.get("tools") or ())
            self._say(event="score", id=request.get("id"), answer=place, score=number)
        seconds = time.perf_counter() - started
        self._say(event="done", id=request.get("id"), seconds=seconds, stopped=self._stop.is_set())

    def _generate(self, request: dict[str, Any]) -> None:
        import torch
        from transformers import StoppingCriteriaList

        from .prompt import encode_prompt
        from .streaming import StopOnEvent, TextSender

        if self._loaded is None:
            raise UserError("no model is loaded", hint="Send a load request first.")
        settings = dict(request.get("settings") or {})
        tokenizer = self._loaded.tokenizer
        tuned = request.get("adapter", True)
        model, context = self._loaded.tuned() if tuned else self._loaded.untuned()
        inputs = encode_prompt(tokenizer, request["messages"], request.get("tools")).to(self._loaded.device)
        prompt_tokens = int(inputs["input_ids"].shape[1])
        started = time.perf_counter()
        sender = TextSender(tokenizer, lambda text: self._say(event="token", id=request.get("id"), text=text))
        with context, torch.no_grad():
            output = model.generate(
                **inputs,
                **_generation_arguments(settings),
                pad_token_id=tokenizer.pad_token_id,
                use_cache=self._loaded.record.use_kv_cache,
                streamer=sender if int(settings.get("num_beams", 1)) == 1 else None,
                stopping_criteria=StoppingCriteriaList([StopOnEvent(self._stop)]),
            )
        new = output[0, prompt_tokens:]
        skip = bool(settings.get("skip_special_tokens", True))
        self._say(
            event="done",
            id=request.get("id"),
            text=tokenizer.decode(new, skip_special_tokens=skip).strip(),
            prompt_tokens=prompt_tokens,
            new_tokens=int(new.shape[0]),
            seconds=time.perf_counter() - started,
            stopped=self._stop.is_set(),
        )


def _generation_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    chosen = {name: settings[name] for name in _SETTINGS if settings.get(name) is not None}
    chosen["do_sample"] = bool(settings.get("do_sample", True))
    if chosen["do_sample"]:
        chosen.update({name: settings[name] for name in _SAMPLING if settings.get(name) is not None})
    else:
        # Greedy: the model's own sampling settings would only raise warnings.
        chosen.update(dict.fromkeys(_SAMPLING))
    return chosen


def _explain(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0]
    if "out of memory" in text.lower():
        return "out of GPU memory: stop or pause the training run, or start the chat with CUDA_VISIBLE_DEVICES= (CPU)"
    return f"{type(error).__name__}: {text}"


def _import_quietly() -> None:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def serve() -> int:
    """Serve on this process's stdin and stdout; whatever libraries print goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8")
    return ChatWorker(requests, answers).serve()
