"""What of a message's content a chat template looks at: the texts that it compares, splits or strips contents with. Not
for rendering. What stands here is a reading of the program, not a proof: whoever relies on it checks on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import jinja2
from jinja2 import nodes

from trainer.data.messages import Message
from trainer.data.templates import ChatTemplate
from trainer.data.templates.language import compile_template

_KEYS = frozenset(Message.__slots__) | {"thinking", "function", "arguments", "items", "properties"}
"""Of messages and of the descriptions of tools: `'items' in schema` compares no content."""
_STRIPPING = frozenset({"strip", "lstrip", "rstrip", "trim"})
_WRITING = frozenset({"join", "default", "d", "tojson", "indent", "raise_exception", "strftime_now"})
"""Filters and functions whose texts go into the output, or nowhere."""
_HARMLESS_FILTERS = frozenset({"trim", "tojson", "default", "d", "string", "safe", "join", "replace"})


@dataclass(frozen=True)
class ContentConstants:
    """The texts that make a template treat one content differently from another."""

    inside: tuple[str, ...]
    """Those that matter wherever they stand in a content."""
    edges: str | None
    """Characters that matter at the beginning or the end of a content, beside white space; None: not even that does."""

    def leave_alone(self, content: str) -> bool:
        """Whether the template will write this content as it is."""
        if not content:
            return False
        if self.edges is not None:
            first, last = content[0], content[-1]
            if first.isspace() or last.isspace() or first in self.edges or last in self.edges:
                return False
        return not any(text in content for text in self.inside)


def content_constants(template: ChatTemplate) -> ContentConstants | None:
    """What a template's program compares contents with; None: it cannot be read, or does more with contents than that
    (counts, cuts or changes their letters).
    """
    try:
        tree = compile_template(template.text).environment.parse(template.text)
    except jinja2.TemplateError:
        return None
    if any(_depends_on_letters(node) for node in tree.find_all((nodes.Filter, nodes.Call, nodes.Getitem))):
        return None
    inside = {text for text in _compared(tree) if text and text not in _KEYS}
    calls: list[nodes.Call | nodes.Filter] = [*tree.find_all(nodes.Call), *tree.find_all(nodes.Filter)]
    stripping = [node for node in calls if _called(node) in _STRIPPING]
    characters = "".join(sorted({text for node in stripping for text in _texts(*node.args)}))
    return ContentConstants(tuple(sorted(inside)), characters if stripping else None)


def _compared(node: nodes.Node) -> Iterator[str]:
    """Constants of comparisons, of arguments and of variables; not those that are only written."""
    if isinstance(node, nodes.Compare):
        sides = (node.expr, *(operand.expr for operand in node.ops))
        if not any(_is_role(side) for side in sides):
            yield from _texts(*sides)
    elif isinstance(node, nodes.Call | nodes.Filter | nodes.Test):
        name = _called(node)
        if name not in _STRIPPING and name not in _WRITING:
            yield from _texts(*node.args, *(item.value for item in node.kwargs))
    elif isinstance(node, nodes.Assign) and isinstance(node.node, nodes.Const | nodes.List | nodes.Tuple):
        yield from (text for text in _texts(node.node) if text.strip())
    for child in node.iter_child_nodes():
        yield from _compared(child)


def _depends_on_letters(node: nodes.Node) -> bool:
    """Whether the outcome hangs on a content as a whole, and not on texts that stand in the program."""
    if isinstance(node, nodes.Filter):
        return node.name not in _HARMLESS_FILTERS and node.node is not None and _is_content(node.node)
    if isinstance(node, nodes.Call):
        is_method = isinstance(node.node, nodes.Getattr) and _is_content(node.node.node)
        return is_method and not node.args and _called(node) not in _STRIPPING
    if isinstance(node, nodes.Getitem) and _is_content(node.node):
        return not (isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str))
    return False


def _is_content(expression: nodes.Node) -> bool:
    """Whether this is the content of a message, as far as its name tells."""
    if isinstance(expression, nodes.Getattr):
        return str(expression.attr) == "content"
    if isinstance(expression, nodes.Getitem):
        return isinstance(expression.arg, nodes.Const) and expression.arg.value == "content"
    return isinstance(expression, nodes.Name) and "content" in str(expression.name)


def _texts(*expressions: nodes.Node) -> Iterator[str]:
    for expression in expressions:
        if isinstance(expression, nodes.Const):
            if isinstance(expression.value, str):
                yield expression.value
        elif isinstance(expression, nodes.List | nodes.Tuple):
            yield from _texts(*expression.items)
        elif isinstance(expression, nodes.Add | nodes.Concat):
            yield from (text for constant in expression.find_all(nodes.Const) for text in _texts(constant))


def _called(node: nodes.Expr) -> str:
    """The name of a function, a method, a filter or a test."""
    if isinstance(node, nodes.Filter | nodes.Test):
        return str(node.name)
    function = node.node if isinstance(node, nodes.Call) else node
    if isinstance(function, nodes.Getattr):
        return str(function.attr)
    return str(function.name) if isinstance(function, nodes.Name) else ""


def _is_role(expression: nodes.Node) -> bool:
    if isinstance(expression, nodes.Getattr):
        return str(expression.attr) == "role"
    if isinstance(expression, nodes.Getitem):
        return isinstance(expression.arg, nodes.Const) and expression.arg.value == "role"
    return isinstance(expression, nodes.Name) and "role" in str(expression.name)
