"""`trimtab demo`: the shipped demo from start to chat; in the cockpit on a terminal, in lines elsewhere."""

from __future__ import annotations

from argparse import Namespace

from trainer.errors import UserError
from trainer.run import RunDirectory, result_checkpoint
from tui.commands import output
from tui.commands.train import start_run
from tui.locale import text

PRESET = "demo"
USAGE_EXIT = 2


def demo(arguments: Namespace) -> int:
    """Fine-tune the bundled model to a new name, and let base and tuned model answer the same question."""
    run = start_run(PRESET, [], name=arguments.name)
    if run is None:
        return USAGE_EXIT
    if not arguments.headless and output.can_open_cockpit():
        from tui.cockpit import open_cockpit

        return open_cockpit(screen="dashboard", run=run.path)
    from tui.progress_view import follow

    print(text("command_line.started", name=run.name, path=run.path))
    code = follow(run, from_start=True)
    return code or _answers(run)


def _answers(run: RunDirectory) -> int:
    """Ask base and tuned model the same question."""
    from tui.chat_target import chat_target
    from tui.commands.chat import stream
    from tui.workers import ChatClient

    checkpoint = result_checkpoint(run)
    if checkpoint is None:
        raise UserError(text("command_line.no_checkpoint", name=run.name))
    recipe = run.recipe()
    question = next(iter(recipe.train.sample_prompts or ()), text("command_line.demo_question"))
    messages = [{"role": "user", "content": question}]
    # The same words on every machine: no drawing of lots.
    settings = {**recipe.generation.model_dump(exclude_none=True), "do_sample": False}
    client = ChatClient()
    try:
        client.load(chat_target(checkpoint.path))
        print(f"{text('command_line.demo_asked')}: {question}")
        for label, adapter in (("demo_base", False), ("demo_tuned", True)):
            print(f"{text(f'command_line.{label}')}: ", end="", flush=True)
            stream(client, messages, adapter=adapter, settings=settings)
    finally:
        client.close()
    print(text("command_line.demo_next", name=run.name))
    return 0
