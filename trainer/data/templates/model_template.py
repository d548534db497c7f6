"""The chat template that comes with a model. Not for the shipped ones (`library`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.data.templates.chat_template import ChatTemplate, check_syntax

TEMPLATE_FILE = "chat_template.jinja"
TEMPLATE_FOLDER = "additional_chat_templates"


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
