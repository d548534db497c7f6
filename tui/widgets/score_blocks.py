"""Judgements turned into the blocks that the log of the Score screen shows, in the language in force. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tui.judgement import Judgement, RatedAnswer, shares
from tui.locale import text
from tui.widgets.chat_log import Block
from tui.widgets.glyphs import ascii_only

_BAR = 10
_NARROW = 40
"""Cells below which there is no bar, and figures are short."""
_WITH_SHARE = 70
_LINES_OF_ANSWER = 3


def judgement_blocks(
    judgements: Sequence[Judgement], title: Callable[[str], str], *, width: int, whole: bool
) -> list[Block]:
    """What was judged, in order; `title` names a model, `whole` shows long answers to their end."""
    blocks: list[Block] = []
    model, system = "", ""
    for one in judgements:
        if one.model != model and len({each.model for each in judgements}) > 1:
            blocks.append(Block("note", "", title(one.model)))
        if one.system != system:
            blocks.append(Block("note", text("score.system"), one.system or "-"))
        model, system = one.model, one.system
        blocks += _blocks_of(one, width, whole)
    return blocks


def first_block_of_last(blocks: Sequence[Block]) -> int | None:
    """Where the newest judgement begins."""
    return max((place for place, block in enumerate(blocks) if block.role == "you"), default=None)


def _blocks_of(one: Judgement, width: int, whole: bool) -> list[Block]:
    most = 0 if whole else _LINES_OF_ANSWER
    turn = 1 + sum(each["role"] == "user" for each in one.before)
    label = text("score.prompt") if turn == 1 else text("score.turn", number=turn)
    blocks = [Block("you", label, one.prompt, most_lines=most)]
    ranked = one.ranked()
    known = [answer.score for answer in ranked if answer.score is not None and not math.isnan(answer.score)]
    likely = shares(known) if len(known) > 1 and len(known) == len(ranked) else []
    for place, answer in enumerate(ranked):
        label = _figures(place + 1, answer, max(known, default=0.0), width)
        if likely:
            label += _bar(likely[place], width)
        blocks.append(Block("other" if place else "best", label, answer.text, close=True, most_lines=most))
    if one.error:
        blocks.append(Block("error", text("chat.trouble"), one.error, text("chat.retry_hint"), close=True))
    elif len(ranked) == 1 and one.complete:
        blocks.append(Block("note", "", text("score.alone"), close=True))
    return blocks


def _figures(rank: int, answer: RatedAnswer, best: float, width: int) -> str:
    if answer.score is None:
        return f"{rank}  …"
    behind = answer.score - best
    if width < _NARROW:
        return f"{rank} {answer.score:+.2f} {f'{behind:+.2f}' if rank > 1 else ''}".rstrip()
    return f"{rank}  {answer.score:+.3f}  {f'{behind:+.3f}' if rank > 1 else '':>7}"


def _bar(share: float, width: int) -> str:
    if width < _NARROW:
        return ""
    drawn = (round(share * _BAR) * ("#" if ascii_only() else "━")).ljust(_BAR)
    return f"  {drawn} {100 * share:3.0f} %" if width >= _WITH_SHARE else f"  {drawn}"
