"""Checks of whole dialogues: the order of their turns, and that answers say something. Not for single messages."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.data.messages import BadRowError, Message

_ORDER_HINT = "Turns must go system, user, assistant, user, assistant and so on"


def check_order(messages: Sequence[Message]) -> None:
    """Raises: BadRowError where a turn stands in a place that it cannot have."""
    previous = ""
    for number, message in enumerate(messages, start=1):
        role = message.role
        if role == "user":
            wrong = previous == "user"
        elif role == "assistant":
            wrong = previous not in ("user", "tool")
        elif role == "system":
            wrong = previous != ""
        else:
            wrong = previous not in ("assistant", "tool")
        if wrong:
            after = f"after {previous}" if previous else "first"
            raise BadRowError("roles_out_of_order", f"message {number} ({role}) comes {after}", _ORDER_HINT)
        previous = role


def check_answers(messages: Sequence[Message]) -> None:
    """Raises: BadRowError when the dialogue does not end with an answer, or one of its answers is empty."""
    if not messages or messages[-1].role != "assistant":
        hint = "Add the answer or drop the last turn"
        raise BadRowError("no_answer", "the dialogue does not end with an answer", hint)
    for message in messages:
        if message.role == "assistant" and is_empty(message):
            hint = "The model would learn to say nothing; drop the row"
            raise BadRowError("empty_answer", "an answer is empty", hint)


def check_prompt(messages: Sequence[Message]) -> None:
    """Raises: BadRowError when a prompt asks nothing, or ends with an answer."""
    if not messages or messages[-1].role == "system":
        raise BadRowError("empty_prompt", "the row has no question", "Add the question or drop the row")
    if messages[-1].role == "assistant":
        problem = f"the prompt ends with an answer (message {len(messages)})"
        raise BadRowError("roles_out_of_order", problem, "End the prompt with the question")
    if not (messages[-1].content or "").strip() and messages[-1].role == "user":
        raise BadRowError("empty_prompt", "the prompt is empty", "Write the question or drop the row")


def is_empty(message: Message) -> bool:
    """Whether an answer has neither text nor tool calls."""
    content = message.content
    return not message.tool_calls and (not content or not content.strip())
