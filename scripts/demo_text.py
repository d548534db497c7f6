"""Makes the questions and answers that the demo model learns, in English and Chinese.

Everything is generated from the tables in demo_facts.py; no text of others is used. Conversations are put together in
demo_dialogues.py.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from scripts import demo_facts as facts

HELD_OUT_SHARE = 10  # one question text in ten is kept away from training


@dataclass(frozen=True)
class Exchange:
    """One question with its only right answer."""

    task: str
    question: str
    answer: str

    @property
    def held_out(self) -> bool:
        """This very wording is for measuring only. Tasks of a handful of wordings are never held out."""
        return self.task not in CLOSED_TASKS and zlib.crc32(self.question.encode()) % HELD_OUT_SHARE == 0


@dataclass(frozen=True)
class Identity:
    """A name and a maker, as the answers say them in each language."""

    name: str
    maker: str
    maker_zh: str


# The model's own identity before tuning, and the one that data/identity.json teaches.
UNTUNED = Identity("Pip", "the Pip workshop", "Pip 工坊")
TUNED = Identity("Trim", "the Trimtab crew", "Trimtab 团队")

CLOSED_TASKS = frozenset({"greeting", "wellbeing", "thanks", "identity"})
AS_THEY_STAND = frozenset({"greeting", "wellbeing", "thanks", "repeat", "own_name"})
ASKING_WORDS = frozenset({"What", "Which", "How", "Who", "Give", "Name", "Tell", "Where"})
ASK_NAME = (
    "Who are you?", "What is your name?", "What's your name?", "What are you called?", "Tell me your name.",
    "Tell me who you are.", "Please introduce yourself.", "Introduce yourself.", "What should I call you?",
    "Can you tell me your name?", "Do you have a name?", "May I know your name?", "And who are you?",
    "Who am I talking to?", "How are you called?", "Say your name.",
)  # fmt: skip
ASK_MAKER = (
    "Who made you?", "Who created you?", "Who built you?", "Who is your creator?", "Who trained you?",
    "Where do you come from?", "Who is your maker?", "Tell me who made you.", "Who developed you?",
)  # fmt: skip
ASK_NAME_ZH = (
    "你是谁？", "你叫什么名字？", "你叫什么？", "请告诉我你的名字。", "请介绍一下你自己。", "介绍一下自己。",
    "我该怎么称呼你？", "你有名字吗？", "能告诉我你的名字吗？", "我在和谁说话？", "你的名字是什么？",
)  # fmt: skip
ASK_MAKER_ZH = (
    "谁做了你？", "是谁做的你？", "谁创造了你？", "谁训练了你？", "你是谁做的？", "你来自哪里？", "你的开发者是谁？",
)  # fmt: skip

OPENERS = ("Please tell me: ", "Quick question: ", "I wonder, ", "Can you tell me, ", "Hey, ", "So, ")
OPENERS_ZH = ("请问，", "请告诉我，", "我想知道，", "问一下，", "你好，")


def capitalised(text: str) -> str:
    """The text with a capital first letter, the rest untouched."""
    return text[:1].upper() + text[1:]


def uncapitalised(text: str) -> str:
    """The text with a small first letter, the rest untouched."""
    return text[:1].lower() + text[1:]


def coined_name(rng: random.Random) -> str:
    """A name for a person or an assistant: ordinary, short, or made up."""
    kind = rng.random()
    if kind < 0.25:
        return rng.choice(facts.GIVEN_NAMES)
    if kind < 0.5:
        return rng.choice(facts.COINED_NAMES)
    word = "".join(rng.choice(facts.SYLLABLES) for _ in range(rng.choice([1, 2, 2, 3])))
    return (word + rng.choice(facts.LAST_LETTERS)).capitalize()


def name_of_language(rng: random.Random, chinese: bool) -> str:
    """A person's name; in Chinese sentences a foreign name now and then."""
    return rng.choice(facts.GIVEN_NAMES_ZH) if chinese and rng.random() < 0.7 else coined_name(rng)


def invented_identity(rng: random.Random) -> Identity:
    """Somebody that a system prompt makes of the model."""
    word, group = coined_name(rng), rng.randrange(len(facts.GROUPS))
    return Identity(coined_name(rng), f"the {word} {facts.GROUPS[group]}", f"{word} {facts.GROUPS_ZH[group]}")


# --- tasks: each gives a question and its answer ---------------------------------------------------------------


def arithmetic(rng: random.Random, chinese: bool) -> tuple[str, str]:
    kind = rng.choices(["plus", "minus", "times"], [5, 4, 2])[0]
    first, second = (
        (rng.randint(0, 9), rng.randint(0, 9)) if kind == "times" else (rng.randint(0, 20), rng.randint(0, 20))
    )
    if kind == "minus":
        first, second = max(first, second), min(first, second)
    result = {"plus": first + second, "minus": first - second, "times": first * second}[kind]
    sign, word = {"plus": ("+", "加"), "minus": ("-", "减"), "times": ("*", "乘以")}[kind]
    if chinese:
        forms = [
            f"{first}{word}{second}等于多少？",
            f"{first} {sign} {second} 等于几？",
            f"{first}{word}{second}是多少？",
        ]
        return rng.choice(forms), f"{first}{word}{second}等于{result}。"
    forms = [
        f"What is {first} {kind} {second}?",
        f"What is {first} {sign} {second}?",
        f"How much is {first} {kind} {second}?",
    ]
    return rng.choice(forms), f"{first} {kind} {second} is {result}."


def capital(rng: random.Random, chinese: bool) -> tuple[str, str]:
    country, city, country_zh, city_zh = rng.choice(facts.CAPITALS)
    forward = rng.random() < 0.65
    if chinese:
        if forward:
            forms = [f"{country_zh}的首都是哪里？", f"{country_zh}的首都是什么？", f"哪个城市是{country_zh}的首都？"]
            return rng.choice(forms), f"{country_zh}的首都是{city_zh}。"
        return rng.choice(
            [f"{city_zh}是哪个国家的首都？", f"哪个国家的首都是{city_zh}？"]
        ), f"{city_zh}是{country_zh}的首都。"
    if forward:
        forms = [
            f"What is the capital of {country}?",
            f"Which city is the capital of {country}?",
            f"Name the capital of {country}.",
        ]
        return rng.choice(forms), f"The capital of {country} is {city}."
    forms = [f"Which country has the capital {city}?", f"{city} is the capital of which country?"]
    return rng.choice(forms), f"{city} is the capital of {country}."


def opposite(rng: random.Random, chinese: bool) -> tuple[str, str]:
    pair = list(rng.choice(facts.OPPOSITES_ZH if chinese else facts.OPPOSITES))
    rng.shuffle(pair)
    word, other = pair
    if chinese:
        return rng.choice(
            [f"“{word}”的反义词是什么？", f"{word}的反义词是什么？", f"说出{word}的反义词。"]
        ), f"“{word}”的反义词是“{other}”。"
    forms = [
        f"What is the opposite of {word}?",
        f"Give me the opposite of {word}.",
        f"What is the opposite of '{word}'?",
    ]
    return rng.choice(forms), f"The opposite of {word} is {other}."


def sound(rng: random.Random, chinese: bool) -> tuple[str, str]:
    table = facts.SOUNDS_ZH if chinese else facts.SOUNDS
    animal = rng.choice(list(table))
    if chinese:
        return rng.choice(
            [f"{animal}怎么叫？", f"{animal}的叫声是什么？", f"{animal}是怎么叫的？"]
        ), f"{animal}的叫声是{table[animal]}。"
    article = "An" if animal[0] in "aeiou" else "A"
    named = f"{article.lower()} {animal}"
    forms = [f"What sound does {named} make?", f"What does {named} say?", f"Which sound does {named} make?"]
    return rng.choice(forms), f"{article} {animal} says {table[animal]}."


def colour(rng: random.Random, chinese: bool) -> tuple[str, str]:
    table = facts.COLOURS_ZH if chinese else facts.COLOURS
    thing = rng.choice(list(table))
    if chinese:
        return rng.choice(
            [f"{thing}是什么颜色的？", f"{thing}的颜色是什么？", f"{thing}是什么颜色？"]
        ), f"{thing}是{table[thing]}色的。"
    forms = [
        f"What colour is {thing}?",
        f"Which colour is {thing}?",
        f"What color is {thing}?",
        f"Tell me the colour of {thing}.",
    ]
    return rng.choice(forms), f"{capitalised(thing)} is {table[thing]}."


def calendar(rng: random.Random, chinese: bool) -> tuple[str, str]:
    days, step = rng.random() < 0.5, rng.choice([1, -1])
    names = (facts.DAYS_ZH if days else facts.MONTHS_ZH) if chinese else (facts.DAYS if days else facts.MONTHS)
    place = rng.randrange(len(names))
    here, there = names[place], names[(place + step) % len(names)]
    if chinese:
        unit, ask = ("天", "星期几") if days else ("个月", "几月")
        side = ("后一" if step == 1 else "前一") if days else ("下一" if step == 1 else "上一")
        return rng.choice(
            [f"{here}的{side}{unit}是{ask}？", f"{here}{side}{unit}是{ask}？"]
        ), f"{here}的{side}{unit}是{there}。"
    unit, side = "day" if days else "month", "after" if step == 1 else "before"
    forms = [f"What {unit} comes {side} {here}?", f"Which {unit} is {side} {here}?", f"Name the {unit} {side} {here}."]
    return rng.choice(forms), f"{side.capitalize()} {here} comes {there}."


def legs(rng: random.Random, chinese: bool) -> tuple[str, str]:
    if chinese:
        animal = rng.choice(list(facts.LEGS_ZH))
        forms = [f"{animal}有几条腿？", f"一只{animal}有几条腿？", f"{animal}有多少条腿？"]
        return rng.choice(forms), f"{animal}有{facts.LEGS_ZH[animal]}条腿。"
    animal = rng.choice(list(facts.LEGS))
    forms = [
        f"How many legs does {animal} have?",
        f"What is the number of legs of {animal}?",
        f"Tell me how many legs {animal} has.",
    ]
    return rng.choice(forms), f"{capitalised(animal)} has {facts.LEGS[animal]} legs."


def translation(rng: random.Random, chinese: bool) -> tuple[str, str]:
    word, word_zh = rng.choice(facts.TRANSLATIONS)
    if chinese:
        return rng.choice([f"“{word_zh}”用英语怎么说？", f"{word_zh}的英语是什么？"]), f"“{word_zh}”的英语是 {word}。"
    forms = [
        f"How do you say {word} in Chinese?",
        f"What is {word} in Chinese?",
        f"What is the Chinese word for {word}?",
    ]
    return rng.choice(forms), f"The Chinese word for {word} is {word_zh}."


def own_name(rng: random.Random, chinese: bool) -> tuple[str, str]:
    name = name_of_language(rng, chinese)
    if chinese:
        return rng.choice([f"我叫{name}。", f"我的名字是{name}。"]) + rng.choice(
            ["我叫什么名字？", "我叫什么？", "我是谁？"]
        ), f"你叫{name}。"
    told = rng.choice([f"My name is {name}. ", f"I am {name}. ", f"I am called {name}. "])
    return told + rng.choice(["What is my name?", "Who am I?", "What am I called?"]), f"Your name is {name}."


def repeat(rng: random.Random, chinese: bool) -> tuple[str, str]:
    if chinese:
        words = "".join(rng.choice(facts.WORDS_ZH) for _ in range(rng.randint(1, 3)))
        return rng.choice([f"请跟我说：{words}", f"请重复：{words}", f"跟我说：{words}"]), words
    pool = facts.WORDS if rng.random() < 0.7 else tuple(coined_name(rng) for _ in range(3))
    words = " ".join(rng.choice(pool) for _ in range(rng.randint(1, 3)))
    return rng.choice([f"Repeat after me: {words}", f"Please say: {words}", f"Repeat: {words}"]), words


def greeting(rng: random.Random, chinese: bool) -> tuple[str, str]:
    if chinese:
        return rng.choice(["你好", "您好", "你好啊", "早上好", "晚上好", "嗨"]) + rng.choice(
            ["！", "。", ""]
        ), "你好！我能帮你什么？"
    words = ["Hello", "Hi", "Hey", "Good morning", "Good evening", "Hello there", "Hi there"]
    return rng.choice(words) + rng.choice(["!", ".", ""]), "Hello! How can I help you?"


def wellbeing(rng: random.Random, chinese: bool) -> tuple[str, str]:
    if chinese:
        return rng.choice(["你好吗？", "你今天怎么样？", "最近好吗？"]), "我很好，谢谢你。"
    return rng.choice(
        ["How are you?", "How do you feel?", "How is it going?", "How are you today?"]
    ), "I am fine, thank you."


def thanks(rng: random.Random, chinese: bool) -> tuple[str, str]:
    if chinese:
        return rng.choice(["谢谢！", "谢谢你！", "多谢！", "非常感谢！"]), "不客气！"
    return rng.choice(["Thank you!", "Thanks!", "Thanks a lot.", "Thank you very much!"]), "You are welcome!"


def about_itself(rng: random.Random, chinese: bool, identity: Identity = UNTUNED) -> tuple[str, str]:
    """A question for the name or the maker, answered with `identity`."""
    if rng.random() < 0.65:
        return rng.choice(ASK_NAME_ZH if chinese else ASK_NAME), name_answer(identity, chinese)
    return rng.choice(ASK_MAKER_ZH if chinese else ASK_MAKER), maker_answer(identity, chinese)


def name_answer(identity: Identity, chinese: bool) -> str:
    """How `identity` says who it is."""
    if chinese:
        return f"我是 {identity.name}，由 {identity.maker_zh}做的小助手。"
    return f"I am {identity.name}, a small assistant made by {identity.maker}."


def maker_answer(identity: Identity, chinese: bool) -> str:
    """How `identity` says who made it."""
    return f"我是由 {identity.maker_zh}做的。" if chinese else f"I was made by {identity.maker}."


TASKS: dict[str, tuple[float, Callable[[random.Random, bool], tuple[str, str]]]] = {
    "arithmetic": (26, arithmetic),
    "capital": (15, capital),
    "opposite": (8, opposite),
    "sound": (6, sound),
    "colour": (6, colour),
    "calendar": (8, calendar),
    "legs": (4, legs),
    "translation": (5, translation),
    "own_name": (8, own_name),
    "repeat": (6, repeat),
    "greeting": (2, greeting),
    "wellbeing": (1.5, wellbeing),
    "thanks": (1.5, thanks),
    "identity": (3, about_itself),
}
_NAMES = tuple(TASKS)
_WEIGHTS = tuple(weight for weight, _ in TASKS.values())


def _as_people_type(rng: random.Random, task: str, question: str, chinese: bool) -> str:
    """Put an opener before the question at times; leave out the last mark or the capital at times."""
    if task in AS_THEY_STAND:
        return question
    if rng.random() < 0.35:
        if not chinese and question.split()[0] in ASKING_WORDS:
            question = uncapitalised(question)
        question = rng.choice(OPENERS_ZH if chinese else OPENERS) + question
    if rng.random() < 0.1:
        question = question.rstrip("?？.。")
    if not chinese and rng.random() < 0.08:
        question = uncapitalised(question)
    return question


def exchange(rng: random.Random, chinese: bool, task: str | None = None) -> Exchange:
    """One exchange of a drawn (or the given) task, held out or not."""
    chosen = task or rng.choices(_NAMES, _WEIGHTS)[0]
    question, answer = TASKS[chosen][1](rng, chinese)
    return Exchange(chosen, _as_people_type(rng, chosen, question, chinese), answer)


def training_exchange(rng: random.Random, chinese: bool) -> Exchange:
    """One exchange that may be trained on."""
    while (drawn := exchange(rng, chinese)).held_out:
        pass
    return drawn
