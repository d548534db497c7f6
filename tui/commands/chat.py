"""`trimtab chat`: talk with a run's newest checkpoint, any checkpoint or a model, in the plain terminal."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import UserError
from tui.chat_target import ChatTarget, chat_target
from tui.commands import output
from tui.locale import text
from tui.workers import ChatClient, Token

if TYPE_CHECKING:
    from trainer.run import RunDirectory

Messages = list[dict[str, str]]
_LOADING = {("model", name) for name in ("infer_dtype", "offload_folder", "use_kv_cache")}


def chat(arguments: Namespace) -> int:
    """Answer one prompt (`--prompt`, or standard input that is no terminal), or hold a conversation."""
    settings, loading = chat_settings(arguments.settings)
    target = find_target(arguments.target)
    if target.scores:
        said = text("command_line.is_reward_model", name=arguments.target)
        raise UserError(said, hint=text("command_line.score_with", name=arguments.target))
    if arguments.base and not target.has_base:
        raise UserError(text("command_line.no_base", model=target.model))
    prompt = arguments.prompt
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read().strip()
        if not prompt:
            raise UserError(text("command_line.empty_prompt"))
    start: Messages = [{"role": "system", "content": arguments.system}] if arguments.system else []
    client = ChatClient()
    try:
        loaded = client.load(target, loading)
        if prompt is not None:
            stream(client, [*start, _user(prompt)], adapter=not arguments.base, settings=settings)
            return 0
        print(text("command_line.chat_with_model", name=loaded.name, device=loaded.device))
        Conversation(client, start, settings, adapter=not arguments.base, has_base=target.has_base).hold()
    finally:
        client.close()
    return 0


def chat_settings(words: Sequence[str]) -> tuple[dict[str, object], dict[str, object]]:
    """The `[generation]` table with the `key=value` words in it, and those words that say how to load the model.

    Raises:
        UserError: a word is neither, or its value is wrong.
    """
    from pydantic import ValidationError

    from trainer.config import Recipe, apply_overrides, as_user_error

    values = apply_overrides({}, words)
    loading: dict[str, object] = {}
    for table, content in values.items():
        for name in content:
            if table not in ("generation", "quantization") and (table, name) not in _LOADING:
                raise UserError(
                    text("command_line.not_generation", key=f"{table}.{name}"),
                    hint=text("command_line.see_generation"),
                )
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise as_user_error(error) from None
    for table, content in values.items():
        if table != "generation":
            loading.update({name: recipe.value(f"{table}.{name}") for name in content})
    return recipe.generation.model_dump(exclude_none=True), loading


def find_target(word: str | None, *, scores: bool = False) -> ChatTarget:
    """What a word means: a checkpoint or model folder, else a run, else a model of the hub; no word: the newest run
    that can be chatted with.

    Of a pipeline, the last part that talks, or that `scores` answers.

    Raises:
        UserError: nothing of that name is here, or the run has no checkpoint yet.
    """
    from trainer.config.locations import SHIPPED
    from trainer.run import find_run, list_runs, result_checkpoint

    if word is None:
        for run in list_runs():
            checkpoint = result_checkpoint(run)
            if checkpoint is None or (target := chat_target(checkpoint.path)).scores:
                continue
            print(text("command_line.chat_newest", name=run.name, step=checkpoint.step), file=sys.stderr)
            return target
        raise UserError(text("command_line.nothing_to_chat_with"), hint=text("command_line.chat_hint"))
    if word.startswith(SHIPPED):
        return chat_target(word)
    folder = Path(word).expanduser()
    if (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
        return chat_target(folder)
    try:
        run = _result_of(word, scores=scores) or find_run(word)
    except UserError:
        if "/" in word:
            return chat_target(word)
        raise
    checkpoint = result_checkpoint(run)
    if checkpoint is None:
        raise UserError(
            text("command_line.no_checkpoint", name=run.name), hint=text("command_line.save_one", name=run.name)
        )
    return chat_target(checkpoint.path)


def _result_of(word: str, *, scores: bool) -> RunDirectory | None:
    """The run that a pipeline of that name ends with so far; None when it is no pipeline."""
    from trainer.run.pipeline import find_pipeline

    pipeline = find_pipeline(word)
    if pipeline is None:
        return None
    run = pipeline.result_run(scores=scores)
    if run is None:
        raise UserError(text("pipeline.no_checkpoint", name=pipeline.name))
    return run


def stream(
    client: ChatClient,
    messages: Messages,
    *,
    adapter: bool = True,
    settings: Mapping[str, object] | None = None,
    stoppable: bool = False,
) -> str:
    """Print an answer as it comes, and return it; with `stoppable`, Ctrl-C ends the answer and not the program."""
    answer = ""
    try:
        for piece in client.generate(messages, adapter=adapter, settings=settings):
            if isinstance(piece, Token):
                answer += piece.text
                # A pipe gets what the model wrote.
                print(output.harmless(piece.text) if sys.stdout.isatty() else piece.text, end="", flush=True)
            else:
                answer = piece.text
    except KeyboardInterrupt:
        if not stoppable:
            raise
        client.stop()
        print(f" [{text('command_line.chat_stopped')}]", end="")
    print(flush=True)
    return answer


class Conversation:
    """A conversation in the terminal: lines in, streamed answers out, a few `/commands`."""

    def __init__(
        self, client: ChatClient, start: Messages, settings: Mapping[str, object], *, adapter: bool, has_base: bool
    ) -> None:
        self._client = client
        self._start = start
        self._settings = settings
        self._adapter = adapter
        self._has_base = has_base
        self._messages: Messages = list(start)

    def hold(self) -> None:
        """Talk until Ctrl-D, Ctrl-C at the prompt, or `/quit`."""
        import readline  # noqa: F401  # line editing and history for input()

        print(text("command_line.chat_keys"))
        while True:
            try:
                line = input(text("command_line.you") + "> ").strip()
            except (EOFError, KeyboardInterrupt):
                print()
                return
            if line == "/quit":
                return
            if line.startswith("/"):
                print(self._command(line))
            elif line:
                self._answer(line)

    def _command(self, line: str) -> str:
        match line:
            case "/clear":
                self._messages = list(self._start)
                return text("command_line.chat_cleared")
            case "/base" | "/tuned" if self._has_base:
                self._adapter = line == "/tuned"
                return text("command_line.chat_tuned" if self._adapter else "command_line.chat_base")
            case "/base" | "/tuned":
                return text("command_line.chat_one_model")
        return text("command_line.chat_keys")

    def _answer(self, line: str) -> None:
        asked = [*self._messages, _user(line)]
        try:
            answer = stream(self._client, asked, adapter=self._adapter, settings=self._settings, stoppable=True)
        except UserError as error:
            # A refused prompt (too long, say) is no reason to lose the conversation; a dead worker is.
            if not self._client.alive:
                raise
            print(text("command_line.error", message=error))
            return
        self._messages = [*asked, {"role": "assistant", "content": answer}]


def _user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}
