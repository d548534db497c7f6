"""What a template's program looks at in contents, and which contents it is known to leave alone."""

from __future__ import annotations

import pytest

from tests.trainer.data import chat_templates
from trainer.data import ChatTemplate, Message, Row, SourceReference
from trainer.data.messages import BadRowError
from trainer.data.spans import AnswerFinder, ShortWayError
from trainer.data.template_constants import content_constants
from trainer.data.templates import named_template, template_names

SPECIAL = frozenset({"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|assistant|>"})


@pytest.mark.parametrize(
    ("expression", "inside"),
    [
        ("message.content", ()),
        ("'x' + message.content", ()),
        ("message.content if message.role == 'user' else ''", ()),
        ("message.content.split('</think>')[-1]", ("</think>",)),
        ("'a' if message.content.startswith('<tool>') and 'b' in message.content else 'c'", ("<tool>", "b")),
        ("message.content | replace('x', 'y')", ("x", "y")),
        ("message.content == 'one' + 'two'", ("one", "two")),
        ("message.content in ['yes', 'no']", ("no", "yes")),
        ("message['content'] if 'content' in message", ()),
        ("raise_exception('no user')", ()),
    ],
)
def test_constants_that_contents_are_compared_with(expression: str, inside: tuple[str, ...]) -> None:
    found = content_constants(ChatTemplate(f"{{% for message in messages %}}{{{{ {expression} }}}}{{% endfor %}}"))
    assert found is not None
    assert found.inside == inside


@pytest.mark.parametrize(
    "expression",
    [
        "message.content | length > 60",
        "message['content'] | upper",
        "message.content[:9]",
        "message['content'][0]",
        "message.content.split()",
        "content.upper()",
        "{{",
    ],
)
def test_programs_that_do_more_with_contents(expression: str) -> None:
    assert (
        content_constants(ChatTemplate(f"{{% for message in messages %}}{{{{ {expression} }}}}{{% endfor %}}")) is None
    )


def test_constants_that_are_kept_in_a_variable() -> None:
    found = content_constants(ChatTemplate("{% set start = '<tool>' %}{{ messages[0].content.startswith(start) }}"))
    assert found is not None
    assert found.leave_alone("plain")
    assert not found.leave_alone("a <tool>")


@pytest.mark.parametrize("content", ["", " a", "a\n", "--a", "a -b-"])
def test_edges_matter_to_templates_that_strip(content: str) -> None:
    stripping = content_constants(ChatTemplate("{{ messages[0].content.strip('-') }}"))
    plain = content_constants(ChatTemplate("{{ messages[0].content }}"))
    assert stripping is not None
    assert plain is not None
    assert not stripping.leave_alone(content)
    assert plain.leave_alone(content) is bool(content)
    assert stripping.leave_alone("a - b")


TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
TEMPLATES = {
    name: ChatTemplate(text, TOKENS)
    for name, text in vars(chat_templates).items()
    if name.isupper() and isinstance(text, str)
} | {name: named_template(name, TOKENS) for name in template_names()}
CONTENTS = ["Hi.", " spaces\n", "<think>a</think>b", "user assistant system {{ x }}", ""]


@pytest.mark.parametrize("name", TEMPLATES)
def test_patterns_give_what_the_template_writes(name: str) -> None:
    """Contents of all kinds, in dialogues of one and two turns: the text and the answers are those of the long way."""
    short, long = (AnswerFinder(TEMPLATES[name], SPECIAL, short_way=way) for way in (True, False))
    for question in CONTENTS:
        for answer in CONTENTS:
            turns = (Message("user", question), Message("assistant", answer))
            for messages in (turns, (Message("system", "Hi."), *turns, Message("user", "And?"), turns[1])):
                row = Row(messages, SourceReference("", 1))
                assert _tried(short, row) == _tried(long, row)


def _tried(finder: AnswerFinder, row: Row) -> object:
    try:
        return finder.render(row)
    except BadRowError as error:
        return error.reason


def test_the_audit_notices_a_template_that_is_not_what_it_seemed() -> None:
    text = "{% for message in messages %}{% set text = message.content %}{{ text if text | length < 60 }}<|im_end|>"
    finder = AnswerFinder(ChatTemplate(text + "{% endfor %}"), SPECIAL, short_way=True)
    row = Row((Message("user", "a long question" * 5), Message("assistant", "a")), SourceReference("", 1))
    with pytest.raises(ShortWayError):
        finder.render(row)
