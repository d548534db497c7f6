"""`[trainer]`: fields of transformers' TrainingArguments that have no parameter of ours.

Their names are read from the installed source without importing it. Not for the values: transformers checks those.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from functools import cache
from pathlib import Path


@cache
def trainer_argument_names() -> tuple[str, ...]:
    """The fields of the installed TrainingArguments; empty when transformers is not installed."""
    found = importlib.util.find_spec("transformers")
    if found is None or found.origin is None:
        return ()
    source = Path(found.origin).with_name("training_args.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == "TrainingArguments":
            annotated = (item.target for item in node.body if isinstance(item, ast.AnnAssign))
            return tuple(target.id for target in annotated if isinstance(target, ast.Name))
    return ()


def unknown_trainer_argument(name: str) -> str | None:
    """What is wrong with a name in `[trainer]`, in words; None when it may be passed through."""
    known = trainer_argument_names()
    if not known or name in known:
        return None
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"the installed transformers has no training argument {name!r}.{hint}"
