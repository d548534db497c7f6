"""What a model folder or checkpoint gives, answers or numbers, as its small files say. Loads no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def holds_reward_model(folder: Path) -> bool:
    """Whether a model folder or checkpoint holds a model that gives numbers; False for what cannot be read."""
    adapter, whole = (_json(folder / name) for name in ("adapter_config.json", "config.json"))
    if adapter:
        return adapter.get("task_type") == "SEQ_CLS"
    return any(str(name).endswith("ForSequenceClassification") for name in whole.get("architectures") or ())


def number_of_labels(folder: Path) -> int | None:
    """How many numbers the classifier in a model folder gives; None where its config.json does not say."""
    labels = _json(folder / "config.json").get("id2label")
    return len(labels) if isinstance(labels, dict) else None


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
