"""`trimtab score`: ask a reward model for the numbers of answers. The worker has torch (`tui.workers`)."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from trainer.errors import UserError
from tui.chat_target import ChatTarget
from tui.commands import output
from tui.commands.chat import find_target
from tui.locale import text
from tui.workers import ChatClient


def score(arguments: Namespace) -> int:
    """Print each answer with its number, the best first; or judge the rows of a file."""
    answers = list(dict.fromkeys(arguments.answers or ()))
    if arguments.file and (answers or arguments.prompt):
        raise UserError(text("command_line.score_file_or_answers"))
    if not arguments.file and not answers:
        raise UserError(text("command_line.score_without_answers"))
    if not arguments.file and not arguments.prompt:
        raise UserError(text("command_line.score_without_prompt"))
    target = reward_model(arguments.target)
    if arguments.file:
        return _score_file(target, arguments)
    client = ChatClient()
    try:
        client.load(target, scores=True)
        numbers = _numbers(client, arguments, answers)
    finally:
        client.close()
    if arguments.json:
        told = [{"answer": answer, "score": number} for answer, number in zip(answers, numbers, strict=True)]
        output.print_json({"prompt": arguments.prompt, "scores": told})
        return 0
    for number, answer in sorted(zip(numbers, answers, strict=True), key=lambda pair: -pair[0]):
        print(f"{number:+9.4f}  {output.harmless(answer)}")
    return 0


def _score_file(target: ChatTarget, arguments: Namespace) -> int:
    from tui.commands.score_file import open_rows, score_rows

    # Before the model, which takes longer to load than a mistake takes to find.
    reader = open_rows(arguments.file, arguments.system)
    client = ChatClient()
    try:
        client.load(target, scores=True)
        return score_rows(client, reader)
    finally:
        client.close()


def _numbers(client: ChatClient, arguments: Namespace, answers: Sequence[str]) -> list[float]:
    turns = [("system", arguments.system), ("user", arguments.prompt)]
    messages = [{"role": role, "content": content} for role, content in turns if content]
    asked = [[{"role": "assistant", "content": answer}] for answer in answers]
    return [number for _, number in client.score(messages, asked)]


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
