"""A chat template: its text, the tokens that it may name, and what ends an answer. Not for finding one (`library`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2

from trainer.data.messages import Message
from trainer.data.templates.language import compile_template
from trainer.errors import UserError

# What `text_with_defaults` writes; a template of an earlier run begins with it.
_DEFAULT = "{{%- if {name} is not defined %}}{{%- set {name} = {value} %}}{{%- endif %}}\n"
_DEFAULTS = re.compile(r"\A(?:\{%- if (\w+) is not defined %\}\{%- set \1 = [^%]* %\}\{%- endif %\}\n)+")
_DEFAULT_NAME = re.compile(r"^\{%- if (\w+) ", re.MULTILINE)
# What `text_with_system` writes, below those.
_SYSTEM = (
    "{{%- if not messages or messages[0].role != 'system' %}}"
    "{{%- set messages = [{{'role': 'system', 'content': {content}}}] + messages %}}{{%- endif %}}\n"
)


class TemplateRefusedError(Exception):
    """The template does not accept this dialogue (`raise_exception`, or an error inside of it)."""


class ChatTemplate:
    """One chat template with the special tokens that it may name; compiled once."""

    def __init__(
        self,
        text: str,
        special_tokens: Mapping[str, str] | None = None,
        *,
        tool_text: str | None = None,
        name: str | None = None,
        stop_words: Sequence[str] = (),
        thought_words: tuple[str, str] | None = None,
        variables: Mapping[str, object] | None = None,
    ) -> None:
        self.text = text
        """What goes into every checkpoint and export."""
        self.special_tokens = dict(special_tokens or {})
        self.name = name
        """The name of a shipped template; None: it came with the model."""
        self.stop_words = tuple(stop_words)
        """What ends an answer. Empty: the tokenizer's `eos_token`."""
        self.thought_words = thought_words
        """What stands before and after a thought, where the shipped template knows thoughts."""
        self.variables = dict(variables or {})
        """What every rendering is given beside the dialogue (`enable_thinking`)."""
        self._tool_text = tool_text

    def with_variables(self, variables: Mapping[str, object]) -> ChatTemplate:
        """The same template, every rendering of which is given `variables` too."""
        return ChatTemplate(
            self.text,
            self.special_tokens,
            tool_text=self._tool_text,
            name=self.name,
            stop_words=self.stop_words,
            thought_words=self.thought_words,
            variables={**self.variables, **variables},
        )

    def __getstate__(self) -> dict[str, object]:
        """All that it is made of, without the programs: those cannot be sent to another process."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_compiled")}

    @cached_property
    def _compiled(self) -> jinja2.Template:
        return compile_template(self.text)

    @cached_property
    def _compiled_for_tools(self) -> jinja2.Template:
        return self._compiled if self._tool_text is None else compile_template(self._tool_text)

    def render(
        self,
        messages: Sequence[Message | Mapping[str, Any]],
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
        **variables: Any,
    ) -> str:
        """The text of a dialogue; with `add_generation_prompt`, up to where the model begins to answer.

        `variables` are what some templates ask for beside the dialogue (`enable_thinking`).
        Raises: TemplateRefusedError.
        """
        template = self._compiled_for_tools if tools else self._compiled
        dialogue = [message.for_template() if isinstance(message, Message) else message for message in messages]
        try:
            return template.render(
                messages=dialogue,
                tools=list(tools) or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **{**self.special_tokens, **self.variables, **variables},
            )
        except RecursionError as error:
            raise TemplateRefusedError("the template recurses without end") from error
        except Exception as error:
            # A template is a program of the model's authors and may raise anything.
            raise TemplateRefusedError(f"{error}" or type(error).__name__) from error


def text_with_defaults(text: str, variables: Mapping[str, object]) -> str:
    """A template text that takes `variables` for what it is not told, so that a chat without options renders as the
    training did. Earlier defaults of the text are replaced.
    """
    lines = (_DEFAULT.format(name=name, value=json.dumps(value)) for name, value in sorted(variables.items()))
    return "".join(lines) + _DEFAULTS.sub("", text)


def text_with_system(text: str, system: str) -> str:
    """A template text that gives dialogues without a system prompt this one, as `default_system` did in training."""
    return _SYSTEM.format(content=json.dumps(system, ensure_ascii=False)) + text


def stated_defaults(text: str) -> frozenset[str]:
    """The variables for which `text_with_defaults` wrote defaults into a template text."""
    found = _DEFAULTS.match(text)
    return frozenset(_DEFAULT_NAME.findall(found.group()) if found else ())


def check_syntax(text: str, place: Path) -> None:
    """Compiles a template text.

    Raises: UserError with the line of a syntax error.
    """
    try:
        compile_template(text)
    except jinja2.TemplateSyntaxError as error:
        message = f"the chat template is not valid jinja: {error.message}"
        raise UserError(message, file=place, line=error.lineno) from error
