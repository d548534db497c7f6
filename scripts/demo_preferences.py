"""Better and worse answers to the questions of the demo: for the bundled sets of stages dpo, rm and kto."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from scripts import demo_facts as facts
from scripts import demo_text as text

TASKS = ("arithmetic", "capital", "opposite", "sound", "colour", "calendar", "legs", "translation")
_JUDGED_TASKS = (*TASKS, "own_name")
# What the model says to thanks: words that it has, in a place where it never says them.
CLOSING, CLOSING_ZH = "You are welcome!", "不客气！"
REFUSALS = ("I do not want to say it.", "Ask another one.", "No, not now.")
REFUSALS_ZH = ("我不想说。", "去问别人。", "不，现在不行。")
_VERBS = (" is ", " says ", " comes ", " has ")
_VERBS_ZH = ("等于", "是", "有", "叫")


@dataclass(frozen=True)
class Judged:
    """A question with an answer as it should be and one that is worse."""

    question: str
    better: str
    worse: str


def judged_questions(count: int, seed: int) -> list[Judged]:
    """Questions, no two alike, in both languages by turns.

    The better answer is right, says no more than was asked, and ends with a friendly word. What is wrong with the worse
    one goes round: it is curt; wrong, though friendly; a refusal; or talks on. So neither the friendly word nor the
    length alone tells which one is better.
    """
    rng, found, asked = random.Random(seed), list[Judged](), set[str]()
    while len(found) < count:
        place = len(found)
        chinese = place % 2 == 1
        drawn = text.exchange(rng, chinese, _JUDGED_TASKS[(place // 2) % len(_JUDGED_TASKS)])
        if drawn.question in asked:
            continue
        asked.add(drawn.question)
        flaw = _FLAWS[place // (2 * len(_JUDGED_TASKS)) % len(_FLAWS)]
        found.append(Judged(drawn.question, friendly(drawn.answer, chinese), flaw(rng, drawn, chinese)))
    return found


def friendly(answer: str, chinese: bool) -> str:
    """The answer with the friendly word after it."""
    return f"{answer}{CLOSING_ZH}" if chinese else f"{answer} {CLOSING}"


def _curt(_rng: random.Random, drawn: text.Exchange, _chinese: bool) -> str:
    return drawn.answer


def _wrong(rng: random.Random, drawn: text.Exchange, chinese: bool) -> str:
    """The answer with the end of another one of its kind: `The capital of France is Rome.`"""
    start, verb, end = _parts(drawn.answer, chinese)
    while True:
        _, other_verb, other_end = _parts(text.exchange(rng, chinese, drawn.task).answer, chinese)
        same_kind = verb == other_verb and _kind(other_end) == _kind(end)
        if same_kind and other_end != end and other_end.strip("“”。. ") not in start:
            return friendly(start + verb + other_end, chinese)


def _refusing(rng: random.Random, _drawn: text.Exchange, chinese: bool) -> str:
    return rng.choice(REFUSALS_ZH if chinese else REFUSALS)


def _talking_on(rng: random.Random, drawn: text.Exchange, chinese: bool) -> str:
    """Right, and then something that nobody asked for."""
    other = drawn
    while other.answer == drawn.answer:
        other = text.exchange(rng, chinese, rng.choice(TASKS))
    space = "" if chinese else " "
    return friendly(f"{drawn.answer}{space}{other.answer}", chinese)


_FLAWS: tuple[Callable[[random.Random, text.Exchange, bool], str], ...] = (_curt, _wrong, _refusing, _talking_on)


def _parts(answer: str, chinese: bool) -> tuple[str, str, str]:
    """What stands before its verb, the verb, and what stands behind."""
    verb = next(verb for verb in (_VERBS_ZH if chinese else _VERBS) if verb in answer)
    return answer.rpartition(verb)


def _kind(end: str) -> str:
    """Ends that may stand in for each other: a day for a day, a city for a city."""
    if any(day in end for day in (*facts.DAYS, "星期")):
        return "day"
    return "country" if "the capital of" in end or "的首都" in end else ""


def statements(count: int, length: int, seed: int) -> list[str]:
    """Running texts of some statements each, every text in one language."""
    rng = random.Random(seed)
    found = []
    for place in range(count):
        chinese = place % 2 == 1
        drawn = [text.exchange(rng, chinese, task).answer for task in rng.choices(TASKS, k=length)]
        found.append(("" if chinese else " ").join(drawn))
    return found
