"""A conversation turned into the blocks that the chat log shows, in the language in force. Pure."""

from __future__ import annotations

from tui.conversation import Answer, Conversation
from tui.locale import text
from tui.widgets.chat_log import Block


def conversation_blocks(conversation: Conversation, *, has_base: bool) -> list[Block]:
    """What was said, in order. `has_base`: there is a tuned and an untuned side, so the answers are called so."""
    blocks = []
    for exchange in conversation.exchanges:
        blocks.append(Block("you", text("chat.you"), exchange.prompt))
        blocks.extend(_answer_block(answer, has_base) for answer in exchange.answers)
    return blocks


def _answer_block(answer: Answer, has_base: bool) -> Block:
    label = text("chat.base" if answer.source == "base" else "chat.tuned" if has_base else "chat.model")
    if answer.error:
        said = f"{answer.text}\n" if answer.text else ""
        return Block("error", label, said + answer.error, text("chat.retry_hint"))
    return Block(answer.source, label, answer.text if answer.text or answer.complete else "…", _counts(answer))


def _counts(answer: Answer) -> str:
    done = answer.done
    if done is None:
        return ""
    speed = done.new_tokens / done.seconds if done.seconds > 0 else 0.0
    counts = text("chat.counts", tokens=done.new_tokens, seconds=f"{done.seconds:.1f}", speed=f"{speed:.0f}")
    return f"{counts} · {text('chat.stopped')}" if done.stopped else counts
