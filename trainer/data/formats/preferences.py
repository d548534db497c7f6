"""Two answers to one prompt: where the prompt ends, and whether the answers can be ranked. Not for reading them."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.data.formats.dialogues import check_order, check_prompt, is_empty
from trainer.data.messages import BadRowError, Message

_DIFFER_HINT = "chosen and rejected must go on from the same prompt with an answer each"


def is_whole(turns: Sequence[Message]) -> bool:
    """Whether the messages are a conversation with its prompt, and not an answer alone."""
    return len(turns) > 1 and turns[0].role != "assistant"


def split_prompt(
    chosen: list[Message], rejected: list[Message], names: tuple[str, str]
) -> tuple[list[Message], list[Message], list[Message]]:
    """Two whole conversations as their common beginning and the answers after it; `names` are their columns.

    Raises: BadRowError when they part in a question.
    """
    if not (is_whole(chosen) and is_whole(rejected)):
        whole, other = names if is_whole(chosen) else names[::-1]
        raise BadRowError("prompts_differ", f"{whole} is a whole conversation, {other} is not", _DIFFER_HINT)
    common = 0
    while common < min(len(chosen), len(rejected)) and chosen[common] == rejected[common]:
        common += 1
    if common == len(chosen) == len(rejected):
        raise _equal(names)
    if common == min(len(chosen), len(rejected)):
        # One goes on where the other has ended: the shorter one's last answer belongs to what is compared.
        common -= 1
    if chosen[common].role != "assistant" or rejected[common].role != "assistant":
        problem = f"{names[0]} and {names[1]} differ in message {common + 1} ({chosen[common].role}), not in an answer"
        raise BadRowError("prompts_differ", problem, _DIFFER_HINT)
    return chosen[:common], chosen[common:], rejected[common:]


def check_ranked(
    prompt: Sequence[Message], chosen: Sequence[Message], rejected: Sequence[Message], names: tuple[str, str]
) -> None:
    """Raises: BadRowError when the prompt is none, an answer is none or empty, or both answers are the same."""
    check_order(prompt)
    check_prompt(prompt)
    for answer, name in ((chosen, names[0]), (rejected, names[1])):
        if answer[0].role != "assistant":
            hint = "Its role must be that of an answer"
            raise BadRowError("wrong_answer_role", f"{name} has the role {answer[0].role}", hint)
        for turn in answer:
            if turn.role not in ("assistant", "tool"):
                problem = f"{name} holds another turn of the {turn.role}"
                raise BadRowError("prompts_differ", problem, _DIFFER_HINT)
        check_order([*prompt[-1:], *answer])
        if answer[-1].role != "assistant":
            raise BadRowError("no_answer", f"{name} does not end with an answer", "Add the answer or drop the row")
        if any(turn.role == "assistant" and is_empty(turn) for turn in answer):
            raise BadRowError("empty_answer", f"{name} is empty", "Write the answer or drop the row")
    if tuple(chosen) == tuple(rejected):
        raise _equal(names)


def _equal(names: tuple[str, str]) -> BadRowError:
    problem = f"{names[0]} and {names[1]} are the same"
    return BadRowError("answers_equal", problem, "Nothing can be learned from it; drop the row")
