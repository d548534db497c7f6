"""`trimtab score`: ask a reward model for the numbers of answers. The worker has torch (`tui.workers`)."""

from __future__ import annotations

from argparse import Namespace

from trainer.errors import UserError
from tui.chat_target import ChatTarget
from tui.commands import output
from tui.commands.chat import find_target
from tui.locale import text
from tui.workers import ChatClient


def score(arguments: Namespace) -> int:
    """Print each answer with its number, the best first."""
    if not arguments.prompt:
        raise UserError(text("command_line.score_without_prompt"))
    target = reward_model(arguments.target)
    turns = [("system", arguments.system), ("user", arguments.prompt)]
    messages = [{"role": role, "content": content} for role, content in turns if content]
    client = ChatClient()
    try:
        client.load(target, scores=True)
        answers = [[{"role": "assistant", "content": answer}] for answer in arguments.answers]
        numbers = [number for _, number in client.score(messages, answers)]
    finally:
        client.close()
    if arguments.json:
        told = [{"answer": answer, "score": number} for answer, number in zip(arguments.answers, numbers, strict=True)]
        output.print_json({"prompt": arguments.prompt, "scores": told})
        return 0
    for number, answer in sorted(zip(numbers, arguments.answers, strict=True), key=lambda pair: -pair[0]):
        print(f"{number:+9.4f}  {output.harmless(answer)}")
    return 0


def reward_model(word: str) -> ChatTarget:
    """What a word means, as for `trimtab chat`.

    Raises:
        UserError: nothing of that name is here, it has no checkpoint yet, or it is no reward model.
    """
    target = find_target(word, scores=True)
    if not target.may_score:
        said = text("command_line.no_reward_model", name=word)
        raise UserError(said, hint=text("command_line.chat_with", name=word))
    return target
