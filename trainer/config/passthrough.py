"""`[trainer]`: fields of transformers' TrainingArguments that have no parameter of ours.

Their names are read from the installed source without importing it. Not for the values: transformers checks those.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from functools import cache
from pathlib import Path

from trainer.config.spellings import secret_hint
from trainer.config.tables.train import TrainTable


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


OURS_ALONE = {
    "logging_nan_inf_filter": "a NaN is shown as a NaN here",
    "disable_tqdm": "progress is shown from the events",
    "remove_unused_columns": "rows are prepared by trimtab",
    "local_rank": "trimtab does the launching",
    "hub_strategy": "push_to_hub uploads the result once, when the run is finished",
    "hub_always_push": "push_to_hub uploads the result once, when the run is finished",
}
"""Arguments that the engine sets itself, and why they may not be changed."""


def trainer_argument_problem(name: str) -> str | None:
    """What is wrong with a name in `[trainer]`, in words; None when it may be passed through."""
    if hint := secret_hint(name):
        return hint
    if name in TrainTable.model_fields:
        return f"{name} belongs in [train]"
    if name in OURS_ALONE:
        return f"{name} cannot be changed: {OURS_ALONE[name]}"
    known = trainer_argument_names()
    if not known or name in known:
        return None
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"the installed transformers has no training argument {name!r}.{hint}"
