"""A LLaMA-Factory file as it stands there: keys, values, lines and comments. Not for what the keys mean.

YAML is read as LLaMA-Factory reads it, by OmegaConf: `1e-4` is a number, dates are text, a key stands once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trainer.errors import UserError

_NUMBER = re.compile(r"[-+]?(\d[\d_]*\.[\d_]*([eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.\d[\d_]*([eE][-+]?\d+)?)$")
# "### model": the headings of LLaMA-Factory's examples, which become tables here.
_HEADING = re.compile(r"#{2,}\s*\w+\s*$")
_SECRET = re.compile(r"hf_\w{8,}|(token|secret|password|api_?key|webhook_url)\w*\s*[:=]\s*\S", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One key of the file."""

    key: str
    value: object
    line: int
    above: tuple[str, ...] = ()
    """The comment lines before it, with their `#`."""
    beside: str = ""
    """The comment behind it on its line."""


@dataclass(frozen=True)
class Source:
    """One file."""

    path: Path
    entries: tuple[Entry, ...]
    below: tuple[str, ...] = ()
    """The comment lines behind the last key."""


def read_source(path: Path) -> Source:
    """Read a YAML or JSON file.

    Raises:
        UserError: it cannot be read, is broken (with the line), holds a key twice, or is no table of keys and values.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path) from error
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path, hint="Save it as UTF-8.") from error
    source = _read_json(path, text) if path.suffix.lower() == ".json" else _read_yaml(path, text)
    if not source.entries:
        raise UserError("holds no settings", file=path, hint="A LLaMA-Factory file has lines such as `stage: sft`.")
    return source


def is_secret_name(name: str) -> bool:
    """Whether a key inside a value names a secret: `HF_TOKEN`, `wandb_api_key`."""
    return bool(re.search(r"(token|secret|password|api_?key|access_?key|credential)s?$", name, re.IGNORECASE))


# JSON


def _read_json(path: Path, text: str) -> Source:
    if not text.strip():
        return Source(path, ())
    try:
        content = json.loads(text, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        broken = f"broken JSON, column {error.colno}: {error.msg}"
        raise UserError(broken, file=path, line=error.lineno) from error
    except RecursionError as error:
        raise UserError("broken JSON: it is nested too deeply", file=path) from error
    except _Twice as error:
        line = list(_lines_of_key(text, error.key))[1:2]
        raise UserError("stands there twice", file=path, line=next(iter(line), None), field=error.key) from error
    if not isinstance(content, dict):
        raise _no_table(path, 1)
    return Source(path, tuple(Entry(key, value, _json_line(text, key)) for key, value in content.items()))


class _Twice(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _lines_of_key(text: str, key: str) -> Iterator[int]:
    for found in re.finditer(rf"{re.escape(json.dumps(key))}\s*:", text):
        yield text.count("\n", 0, found.start()) + 1


def _json_line(text: str, key: str) -> int:
    return next(_lines_of_key(text, key), 1)


def _no_table(path: Path, line: int) -> UserError:
    return UserError(
        "holds no keys with values at its top", file=path, line=line, hint="Write lines such as `stage: sft`."
    )


# YAML


def _read_yaml(path: Path, text: str) -> Source:
    # Only who reads such a file pays for the import.
    import yaml

    try:
        loader = _loader_class()(text)
        node = loader.get_single_node()
        if node is None:
            return Source(path, ())
        if not isinstance(node, yaml.MappingNode):
            raise _no_table(path, node.start_mark.line + 1)
        _refuse_twins(path, node)
        loader.flatten_mapping(node)
        return _with_comments(path, text, _yaml_entries(path, loader, node))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", column {mark.column + 1}" if mark else ""
        hint = "Indent with spaces." if "'\\t'" in str(error.problem) else None
        broken = f"broken YAML{place}: {error.problem or error.context}"
        raise UserError(broken, file=path, line=mark.line + 1 if mark else None, hint=hint) from error
    except yaml.YAMLError as error:
        raise UserError(f"broken YAML: {str(error).splitlines()[0]}", file=path) from error
    except RecursionError as error:
        raise UserError("broken YAML: it is nested too deeply", file=path) from error
    except ValueError as error:
        # A number or date that looks like one to YAML and is none.
        raise UserError(f"broken YAML: {error}", file=path) from error


@cache
def _loader_class() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """OmegaConf's way: scientific notation without a point is a number, and dates are text."""

    Loader.yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:float")]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789."))
    return Loader


def _yaml_entries(path: Path, loader: Any, node: Any) -> list[tuple[Entry, int, int]]:
    """Each key with the line and column where its value ends, counted from 0."""
    found = []
    for key_node, value_node in node.value:
        key, line = loader.construct_object(key_node, deep=True), key_node.start_mark.line
        if not isinstance(key, str):
            raise UserError("a key must be text", file=path, line=line + 1, field=str(key))
        value = loader.construct_object(value_node, deep=True)
        end = _end(value_node)
        found.append((Entry(key, value, line + 1), end.line, end.column))
    return found


def _end(node: Any) -> Any:
    """Where the text of a value ends. A block's own mark is that of the next key, behind all comments between."""
    import yaml

    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return node.end_mark
    last = node.value[-1]
    return _end(last[1] if isinstance(node, yaml.MappingNode) else last)


def _refuse_twins(path: Path, node: Any) -> None:
    import yaml

    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twins(path, item)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name = str(key.value)
        if name in seen and name != "<<":
            raise UserError("stands there twice", file=path, line=key.start_mark.line + 1, field=name)
        seen.add(name)
        _refuse_twins(path, value)


def _with_comments(path: Path, text: str, found: list[tuple[Entry, int, int]]) -> Source:
    lines = text.splitlines()
    entries: list[Entry] = []
    start = 0
    for entry, end_line, end_column in sorted(found, key=lambda each: each[0].line):
        above = tuple(_comments(lines[start : entry.line - 1]))
        tail = lines[end_line][end_column:].strip() if end_line < len(lines) else ""
        # A value of several lines ends at the start of the next key's line.
        beside = tail if tail.startswith("#") and end_line >= entry.line - 1 and _keeps(tail) else ""
        entries.append(Entry(entry.key, entry.value, entry.line, above, beside))
        start = max(entry.line, end_line + (1 if end_column else 0))
    return Source(path, tuple(entries), tuple(_comments(lines[start:])))


def _comments(lines: list[str]) -> Iterator[str]:
    for line in lines:
        comment = line.strip()
        if comment.startswith("#") and not _HEADING.match(comment) and _keeps(comment):
            yield comment


def _keeps(comment: str) -> bool:
    """Whether a comment may be copied: one that holds a secret may not."""
    return not _SECRET.search(comment)
