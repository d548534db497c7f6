"""The shipped chat templates by name: `data/templates/templates.toml` and the jinja files beside it.

The text of a named template is put together when it is asked for: the default system prompt, the macros of the tool
format, the template of the family. So every text is whole: it is written into checkpoints as it was trained.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trainer.data.registry import near_match
from trainer.data.templates.chat_template import ChatTemplate, check_syntax
from trainer.errors import UserError
from trainer.paths import shipped_folder

TOOL_FORMATS = (
    "default",
    "gemma4",
    "glm4",
    "glm4_moe",
    "lfm2",
    "ling",
    "llama3",
    "minimax1",
    "minimax2",
    "ministral3",
    "mistral",
    "phi4_mini",
    "qwen",
    "qwen3_5",
    "seed_oss",
)
"""The ways to write tools and their calls: LLaMA-Factory's and two more. The files are in `data/templates/tools/`."""

_SAME_FORMAT = {"ling": "qwen"}
_UNMAPPED = "unmapped"
_COMMENT = re.compile(r"\A\{#-?.*?-?#\}\s*", re.DOTALL)


@dataclass(frozen=True)
class TemplateSpec:
    """One family of `templates.toml`."""

    name: str
    file: str
    source: str
    """Where the published format is described, in words."""
    aliases: tuple[str, ...] = ()
    """Other names of LLaMA-Factory's that mean the same text."""
    stop_words: tuple[str, ...] = ()
    """What ends an answer. Empty: the tokenizer's `eos_token`."""
    default_system: str | None = None
    """The system prompt of dialogues that have none."""
    tool_format: str = "default"
    thought_words: tuple[str, str] | None = None


@dataclass(frozen=True)
class _Library:
    families: Mapping[str, TemplateSpec]
    by_name: Mapping[str, TemplateSpec]
    """Families by their own names and their aliases."""
    unmapped: Mapping[str, str]
    """Names of LLaMA-Factory's that mean nothing here, with the reason."""


def template_names() -> tuple[str, ...]:
    """The names of all families, sorted."""
    return tuple(sorted(_library().families))


def unmapped_names() -> Mapping[str, str]:
    """Names of LLaMA-Factory's for which there is no template here, each with the reason."""
    return _library().unmapped


def template_spec(name: str) -> TemplateSpec:
    """The family that a name or an alias means.

    Raises: UserError for a name that is not known, with the closest one.
    """
    library = _library()
    spec = library.by_name.get(name)
    if spec is not None:
        return spec
    if name in library.unmapped:
        raise UserError(
            f"LLaMA-Factory's template {name} has none here: {library.unmapped[name]}",
            field="template",
            value=name,
            hint="Leave template unset to use the one that comes with the model",
        )
    hint = near_match(name, tuple(library.by_name)) or "trimtab data templates lists them"
    raise UserError("there is no chat template of this name", field="template", value=name, hint=hint)


def named_template(
    name: str, special_tokens: Mapping[str, str] | None = None, tool_format: str | None = None
) -> ChatTemplate:
    """The shipped template of this name, which may be an alias; `tool_format` instead of the family's own.

    Raises: UserError for a name or a tool format that is not known, with the closest one.
    """
    spec = template_spec(name)
    text = _template_text(spec, spec.tool_format if tool_format is None else tool_format)
    return ChatTemplate(
        text, special_tokens, name=spec.name, stop_words=spec.stop_words, thought_words=spec.thought_words
    )


def _folder() -> Path:
    return shipped_folder("data") / "templates"


@cache
def _template_text(spec: TemplateSpec, tool_format: str) -> str:
    if tool_format not in TOOL_FORMATS:
        raise UserError(
            "there is no tool format of this name",
            field="tool_format",
            value=tool_format,
            hint=near_match(tool_format, TOOL_FORMATS) or f"Choose one of {', '.join(TOOL_FORMATS)}",
        )
    text = _without_comment(_folder() / spec.file)
    if "tool_prompt(" in text:
        file = f"{_SAME_FORMAT.get(tool_format, tool_format)}.jinja"
        text = _without_comment(_folder() / "tools" / file) + text
    if spec.default_system is None:
        return text
    return f"{{%- set default_system = {json.dumps(spec.default_system)} %}}\n{text}"


def _without_comment(path: Path) -> str:
    """The text of a jinja file without the comment at its top, which is about the file and not about a checkpoint."""
    text = path.read_text(encoding="utf-8")
    check_syntax(text, path)
    return _COMMENT.sub("", text)


@cache
def _library() -> _Library:
    content = tomllib.loads((_folder() / "templates.toml").read_text(encoding="utf-8"))
    unmapped = {str(name): str(reason) for name, reason in content.pop(_UNMAPPED, {}).items()}
    families = {name: _spec(name, values) for name, values in content.items()}
    by_name = dict(families)
    for spec in families.values():
        by_name.update(dict.fromkeys(spec.aliases, spec))
    return _Library(families, by_name, unmapped)


def _spec(name: str, values: Mapping[str, object]) -> TemplateSpec:
    words = _texts(values.get("thought_words"))
    default_system = values.get("default_system")
    return TemplateSpec(
        name=name,
        file=str(values["file"]),
        source=str(values["source"]),
        aliases=_texts(values.get("aliases")),
        stop_words=_texts(values.get("stop_words")),
        default_system=None if default_system is None else str(default_system),
        tool_format=str(values.get("tool_format", "default")),
        thought_words=(words[0], words[1]) if words else None,
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
