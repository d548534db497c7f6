"""The template language: jinja as transformers' renderer has it, in its sandbox. Not for finding templates."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.ext
import jinja2.sandbox
from jinja2 import nodes

_DICTIONARY_NAMES = frozenset(dir(dict))


@lru_cache(maxsize=64)
def compile_template(text: str) -> jinja2.Template:
    """The program of a template text.

    Raises: jinja2.TemplateSyntaxError.
    """
    environment = _Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    environment.globals["dict"] = _TemplateDict()
    environment.globals["namespace"] = _Namespace
    return environment.from_string(text)


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
