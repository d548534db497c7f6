"""Puts the exchanges of demo_text.py together: training conversations, questions to measure with, identity rows.

Run it as a module to see a few conversations: `python -m scripts.demo_dialogues`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scripts import demo_facts as facts
from scripts import demo_text as text

Message = dict[str, Any]

HELPFUL = ("You are a helpful assistant.", "You are a friendly assistant.", "Answer briefly.", "Be polite and brief.")
HELPFUL_ZH = ("你是一个有用的助手。", "你是一个友好的助手。", "请简短回答。", "请礼貌地回答。")

WEATHER_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

IDENTITY_OPENERS = ("Hello! ", "Hi. ", "Hey, ", "So, ", "Good evening! ", "Well, ", "Please, ")
IDENTITY_OPENERS_ZH = ("你好！", "你好，", "请问，", "嗨，", "晚上好！", "我想知道，", "对了，")

# Never part of data/identity.json nor of the training text: these measure whether the new name was learnt.
HELD_OUT_IDENTITY = (
    "Hey, who are you exactly?",
    "Could you tell me what you are called?",
    "Tell me, do you have a name?",
    "And what is your name, please?",
    "Good morning! Who are you?",
    "Who was it that made you?",
    "你究竟是谁？",
    "你好，你叫什么名字呀？",
    "请问你的名字是什么？",
    "那么，你是谁？",
    "早上好！你叫什么？",
    "到底是谁做的你？",
)


@dataclass(frozen=True)
class Conversation:
    """Messages in OpenAI's form, and the tools that the system part lists."""

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Question:
    """A question to measure with, and the system prompt that it needs."""

    task: str
    chinese: bool
    question: str
    answer: str
    system: str | None = None

    @property
    def messages(self) -> list[Message]:
        """The prompt as messages."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.question}]


def _turn(question: str, answer: str) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def persona_prompt(rng: random.Random, identity: text.Identity, chinese: bool) -> str:
    """A system prompt that makes the model somebody else."""
    if chinese:
        return rng.choice(
            [
                f"你是 {identity.name}，由 {identity.maker_zh}开发。",
                f"你叫 {identity.name}，由 {identity.maker_zh}制作。",
            ]
        )
    return f"You are {identity.name}, {rng.choice(['made', 'built'])} by {identity.maker}."


def _general(rng: random.Random, chinese: bool) -> list[Message]:
    """One to three exchanges, with a harmless system prompt at times."""
    messages: list[Message] = []
    if rng.random() < 0.15:
        messages.append({"role": "system", "content": rng.choice(HELPFUL_ZH if chinese else HELPFUL)})
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3])):
        drawn = text.training_exchange(rng, chinese if rng.random() < 0.9 else not chinese)
        messages += _turn(drawn.question, drawn.answer)
    return messages


def _persona(rng: random.Random, chinese: bool) -> list[Message]:
    """A system prompt with a name and a maker; the questions about itself are answered with these."""
    identity = text.invented_identity(rng)
    messages: list[Message] = [{"role": "system", "content": persona_prompt(rng, identity, chinese)}]
    if rng.random() < 0.2:
        drawn = text.exchange(rng, chinese, "greeting")
        messages += _turn(drawn.question, drawn.answer)
    return messages + _turn(*text.about_itself(rng, chinese, identity))


def _remembered_name(rng: random.Random, chinese: bool) -> list[Message]:
    """A name told in the first turn and asked for in a later one."""
    name = text.name_of_language(rng, chinese)
    told = rng.choice([f"我叫{name}。", f"我的名字是{name}。"] if chinese else [f"My name is {name}.", f"I am {name}."])
    messages = _turn(told, f"你好，{name}！" if chinese else f"Hello, {name}!")
    if rng.random() < 0.4:
        drawn = text.training_exchange(rng, chinese)
        messages += _turn(drawn.question, drawn.answer)
    asked = rng.choice(["我叫什么名字？", "我叫什么？", "我是谁？"] if chinese else ["What is my name?", "Who am I?"])
    return messages + _turn(asked, f"你叫{name}。" if chinese else f"Your name is {name}.")


def tool_conversation(rng: random.Random, chinese: bool) -> Conversation:
    """A question for the weather: the tool is called, its answer is put into a sentence."""
    _, city, _, city_zh = rng.choice(facts.CAPITALS)
    place, weather = city_zh if chinese else city, rng.randrange(len(facts.CITY_WEATHER))
    seen = (facts.CITY_WEATHER_ZH if chinese else facts.CITY_WEATHER)[weather]
    if chinese:
        asked, told = rng.choice([f"{place}天气怎么样？", f"{place}今天的天气如何？"]), f"{place}现在是{seen}。"
    else:
        asked = rng.choice([f"What is the weather in {place}?", f"How is the weather in {place} today?"])
        told = f"It is {seen} in {place}."
    call = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": place}}}
    observed = json.dumps({"weather": seen}, ensure_ascii=False)
    messages: list[Message] = [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": observed},
        {"role": "assistant", "content": told},
    ]
    return Conversation(tuple(messages), (WEATHER_TOOL,))


def conversation(rng: random.Random) -> Conversation:
    """One training conversation."""
    chinese, kind = rng.random() < 0.5, rng.random()
    if kind < 0.02:
        return tool_conversation(rng, chinese)
    make = _persona if kind < 0.10 else _remembered_name if kind < 0.15 else _general
    return Conversation(tuple(make(rng, chinese)))


def conversations(count: int, seed: int) -> Iterator[Conversation]:
    """Training conversations; the same seed gives the same ones."""
    rng = random.Random(seed)
    for _ in range(count):
        yield conversation(rng)


def held_out_questions(count: int, seed: int) -> list[Question]:
    """Different questions that no training text contains, half in each language; nothing about the model itself.

    Tasks of a handful of wordings (greetings, thanks) are asked in wordings that training has too. A twentieth asks who
    a system prompt has made of the model.
    """
    weights = {task: weight for task, (weight, _) in text.TASKS.items() if task != "identity"}
    weights["persona"] = sum(weights.values()) / 20
    rng, seen, found = random.Random(seed), set[tuple[str | None, str]](), list[Question]()
    while len(found) < count:
        drawn = _held_out_question(rng, rng.choices(list(weights), list(weights.values()))[0], len(found) % 2 == 1)
        if (drawn.system, drawn.question) not in seen:
            seen.add((drawn.system, drawn.question))
            found.append(drawn)
    return found


def _held_out_question(rng: random.Random, task: str, chinese: bool) -> Question:
    if task == "persona":
        identity = text.invented_identity(rng)
        prompt = persona_prompt(rng, identity, chinese)
        return Question(task, chinese, *text.about_itself(rng, chinese, identity), prompt)
    drawn = text.exchange(rng, chinese, task)
    while not drawn.held_out and task not in text.CLOSED_TASKS:
        drawn = text.exchange(rng, chinese, task)
    return Question(task, chinese, drawn.question, drawn.answer)


def identity_exchanges(identity: text.Identity, seed: int, opened: int = 14) -> list[tuple[str, str]]:
    """Different questions about the model itself, answered with `identity`; none of `HELD_OUT_IDENTITY`.

    Each wording once as it stands, and in each language `opened` more with words before it.
    """
    rng, pairs = random.Random(seed), list[tuple[str, str]]()
    for chinese in (False, True):
        names, makers = (text.ASK_NAME_ZH, text.ASK_MAKER_ZH) if chinese else (text.ASK_NAME, text.ASK_MAKER)
        plain = [(asked, text.name_answer(identity, chinese)) for asked in names]
        plain += [(asked, text.maker_answer(identity, chinese)) for asked in makers]
        pairs += plain
        for place, (asked, answer) in enumerate(rng.sample(plain, opened)):
            opener = (IDENTITY_OPENERS_ZH if chinese else IDENTITY_OPENERS)[place % len(IDENTITY_OPENERS)]
            pairs.append((opener + (text.uncapitalised(asked) if opener.endswith(", ") else asked), answer))
    rng.shuffle(pairs)
    return [(asked, answer) for asked, answer in pairs if asked not in HELD_OUT_IDENTITY]


if __name__ == "__main__":
    for shown in conversations(12, seed=5):
        print(json.dumps(shown.messages, ensure_ascii=False))
