"""Better and worse answers to the questions of the demo: for the bundled sets of stages dpo, rm and kto."""

from __future__ import annotations

import random
from dataclasses import dataclass

from scripts import demo_text as text

TASKS = ("arithmetic", "capital", "opposite", "sound", "colour", "calendar", "legs", "translation")
CLOSINGS = ("Ask me more!", "I am glad to help.", "You are welcome.")
CLOSINGS_ZH = ("欢迎再问我！", "很高兴帮助你。", "不客气。")
REFUSALS = ("I do not want to say it.", "Ask another one.", "No, not now.")
REFUSALS_ZH = ("我不想说。", "去问别人。", "不，现在不行。")


@dataclass(frozen=True)
class Judged:
    """A question with an answer as it should be and one that is worse."""

    question: str
    better: str
    worse: str


def judged_questions(count: int, seed: int) -> list[Judged]:
    """Questions, no two alike, in both languages by turns.

    The better answer is right and ends with a friendly word. The worse one, by turns: is right and says no more; is a
    refusal; is friendly and answers another question.
    """
    rng, found, asked = random.Random(seed), list[Judged](), set[str]()
    while len(found) < count:
        place = len(found)
        chinese = place % 2 == 1
        drawn = text.exchange(rng, chinese, TASKS[(place // 2) % len(TASKS)])
        if drawn.question in asked:
            continue
        asked.add(drawn.question)
        closing, refusal = (
            rng.choice(CLOSINGS_ZH if chinese else CLOSINGS),
            rng.choice(REFUSALS_ZH if chinese else REFUSALS),
        )
        space = "" if chinese else " "
        worse = (drawn.answer, refusal, f"{_another_answer(rng, drawn, chinese)}{space}{closing}")[place // 2 % 3]
        found.append(Judged(drawn.question, f"{drawn.answer}{space}{closing}", worse))
    return found


def _another_answer(rng: random.Random, drawn: text.Exchange, chinese: bool) -> str:
    """The answer to another question of the same kind."""
    other = drawn
    while other.answer == drawn.answer:
        other = text.exchange(rng, chinese, drawn.task)
    return other.answer


def statements(count: int, length: int, seed: int) -> list[str]:
    """Running texts of some statements each, every text in one language."""
    rng = random.Random(seed)
    found = []
    for place in range(count):
        chinese = place % 2 == 1
        drawn = [text.exchange(rng, chinese, task).answer for task in rng.choices(TASKS, k=length)]
        found.append(("" if chinese else " ").join(drawn))
    return found
