"""Chat templates: jinja text rendered exactly as transformers renders it. Not for tokens or labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.sandbox
from jinja2 import nodes

from trainer.data.messages import Message
from trainer.errors import UserError

TEMPLATE_FILE = "chat_template.jinja"
TEMPLATE_FOLDER = "additional_chat_templates"

_DICTIONARY_NAMES = frozenset(dir(dict))


class TemplateRefusedError(Exception):
    """The template does not accept this dialogue (`raise_exception`, or an error inside of it)."""


class ChatTemplate:
    """One chat template with the special tokens that it may name; compiled once."""

    def __init__(
        self, text: str, special_tokens: Mapping[str, str] | None = None, *, tool_text: str | None = None
    ) -> None:
        self.text = text
        """What goes into every checkpoint and export."""
        self.special_tokens = dict(special_tokens or {})
        self._tool_text = tool_text

    @cached_property
    def _compiled(self) -> jinja2.Template:
        return _compile(self.text)

    @cached_property
    def _compiled_for_tools(self) -> jinja2.Template:
        return self._compiled if self._tool_text is None else _compile(self._tool_text)

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
                **{**self.special_tokens, **variables},
            )
        except RecursionError as error:
            raise TemplateRefusedError("the template recurses without end") from error
        except Exception as error:
            # A template is a program of the model's authors and may raise anything.
            raise TemplateRefusedError(f"{error}" or type(error).__name__) from error


def load_template(folder: Path, config: Mapping[str, Any], special_tokens: Mapping[str, str]) -> ChatTemplate | None:
    """The chat template of a model folder: `chat_template.jinja`, else the one in tokenizer_config.json; None: none.

    Of several named ones, `default` is used, and `tool_use` for rows with tools, as transformers does.
    Raises: UserError when the template has a syntax error.
    """
    file = folder / TEMPLATE_FILE
    named: dict[str, str] = {}
    stated = config.get("chat_template")
    if isinstance(stated, str):
        named["default"] = stated
    elif isinstance(stated, list):
        named = {str(item["name"]): str(item["template"]) for item in stated if isinstance(item, dict)}
    if file.is_file():
        named["default"] = file.read_text(encoding="utf-8")
    more = folder / TEMPLATE_FOLDER
    if more.is_dir():
        named.update({path.stem: path.read_text(encoding="utf-8") for path in sorted(more.glob("*.jinja"))})
    if "default" not in named:
        return None
    place = file if file.is_file() else folder / "tokenizer_config.json"
    for text in named.values():
        check_syntax(text, place)
    return ChatTemplate(named["default"], special_tokens, tool_text=named.get("tool_use"))


def check_syntax(text: str, place: Path) -> None:
    """Compiles a template text.

    Raises: UserError with the line of a syntax error.
    """
    try:
        _compile(text)
    except jinja2.TemplateSyntaxError as error:
        message = f"the chat template is not valid jinja: {error.message}"
        raise UserError(message, file=place, line=error.lineno) from error


class _GenerationBlock(jinja2.ext.Extension):
    """`{% generation %} ... {% endgeneration %}` is passed through: our labels do not need the marks."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_passed_through"), [], [], body).set_lineno(line)

    def _passed_through(self, caller: Any) -> str:
        return str(caller())


class _Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """The sandbox that transformers uses, with a short way to `message.role`."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        # The sandbox would raise and catch an AttributeError first; a dictionary's own methods still go that way.
        if type(obj) is dict and attribute in obj and attribute not in _DICTIONARY_NAMES:
            return obj[attribute]
        return super().getattr(obj, attribute)


class _Namespace(jinja2.utils.Namespace):
    """A namespace that keeps templates away from names that begin with an underscore, as transformers does."""

    def __init__(*arguments: Any, **values: Any) -> None:
        self, rest = arguments[0], arguments[1:]
        attributes = dict(*rest, **values)
        for name in attributes:
            _refuse_private(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"chat templates cannot store underscore-prefixed attributes: {name!r}")


class _TemplateDict:
    """`dict(...)` without the attributes of the type."""

    def __call__(self, *arguments: Any, **values: Any) -> dict[Any, Any]:
        return dict(*arguments, **values)

    def fromkeys(self, *arguments: Any) -> dict[Any, Any]:
        return dict.fromkeys(*arguments)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise jinja2.exceptions.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


@lru_cache(maxsize=64)
def _compile(text: str) -> jinja2.Template:
    environment = _Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    environment.globals["dict"] = _TemplateDict()
    environment.globals["namespace"] = _Namespace
    return environment.from_string(text)
