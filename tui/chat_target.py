"""What a checkpoint folder, a model folder or a name means to the chat worker. Reads small files, loads nothing."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from trainer.config import resolve_model_path
from trainer.data.model_kind import holds_reward_model
from trainer.errors import UserError
from tui.locale import text


@dataclass(frozen=True)
class ChatTarget:
    """What to load: a model, the adapter on top of it, and for a fully tuned model the base it came from."""

    model: str
    adapter: str | None = None
    base: str | None = None
    scores: bool = False
    """It is a reward model: its files say so. Of a model on the hub nothing is known before it is here."""

    @property
    def may_score(self) -> bool:
        """Whether it is a reward model, as far as is known."""
        return self.scores or not Path(self.model).is_dir()

    @property
    def has_base(self) -> bool:
        """Whether an untuned answer can be given beside the tuned one."""
        return self.adapter is not None or self.base is not None


def chat_target(path: str | Path) -> ChatTarget:
    """How to load a checkpoint folder, a model folder or the name of a model on the hub.

    Raises:
        UserError: there is no such folder, or it is a LoRA checkpoint whose base model is not there.
    """
    model = _existing(str(path))
    folder = Path(model)
    if not folder.is_dir():
        return ChatTarget(model=model)
    scores = holds_reward_model(folder)
    base = _json_object(folder / "trimtab.json").get("base_model")
    adapter_file = folder / "adapter_config.json"
    if adapter_file.is_file():
        base = base or _json_object(adapter_file).get("base_model_name_or_path")
        if not isinstance(base, str):
            raise UserError(text("chat.no_base_model"), file=adapter_file)
        return ChatTarget(model=_existing(_from_run(base, folder)), adapter=model, scores=scores)
    if isinstance(base, str):
        # Without its base a fully tuned model can still be talked to.
        with contextlib.suppress(UserError):
            return ChatTarget(model=model, base=_existing(_from_run(base, folder)), scores=scores)
    return ChatTarget(model=model, scores=scores)


def _existing(name: str) -> str:
    """A model's folder, or what can only be a name on the hub: asking the hub for a folder takes a minute to fail.

    Raises:
        UserError: it is neither.
    """
    found = resolve_model_path(name)
    folder = Path(found)
    if not folder.is_dir() and (folder.is_absolute() or found.startswith(".") or found.count("/") != 1):
        raise UserError(text("chat.no_such_model"), file=found, hint=text("chat.no_such_model_hint"))
    return found


def _from_run(model: str, checkpoint: Path) -> str:
    """A relative path in a checkpoint starts where its run was made, wherever we are now."""
    made_in = _json_object(checkpoint.parent.parent / "run.json").get("working_folder")
    if isinstance(made_in, str) and made_in and (found := Path(made_in) / model).is_dir():
        return str(found)
    return model


def _json_object(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
