"""Well-known models with their sizes, from the shipped `data/models.toml`. Not for what is on this machine."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from trainer.errors import UserError
from trainer.paths import shipped_folder


@dataclass(frozen=True)
class KnownModel:
    """One model of the list."""

    name: str
    """`owner/name` on the Hugging Face hub."""
    modelscope: str | None
    """The same on ModelScope; None where that is not known."""
    family: str
    billions: float
    context: int | None
    """Tokens."""
    licence: str
    template: str
    is_gated: bool
    brings_code: bool

    @property
    def bytes(self) -> float:
        """About how much is downloaded: two bytes for each parameter."""
        return self.billions * 2e9

    def name_on(self, hub: str) -> str | None:
        """What it is called on a hub; None where it is not there."""
        return self.modelscope if hub == "modelscope" else self.name


@cache
def known_models() -> tuple[KnownModel, ...]:
    """All of them, family by family, in the order of the file.

    Raises: UserError when the file is damaged.
    """
    file = shipped_folder("data") / "models.toml"
    try:
        families = tomllib.loads(file.read_text(encoding="utf-8"))["family"]
        return tuple(model for family in families for model in _models(family))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"cannot be read: {error}", file=file, hint="Install trimtab again") from error


def known_model(name: str) -> KnownModel | None:
    """The model of this name on either hub."""
    plain = name.partition("://")[2] or name
    return next((model for model in known_models() if plain.partition("@")[0] in (model.name, model.modelscope)), None)


def _models(family: dict[str, object]) -> list[KnownModel]:
    models, renamed = family["models"], family.get("renamed", {})
    assert isinstance(models, dict)
    assert isinstance(renamed, dict)
    there = family.get("modelscope")
    context = family.get("context")
    return [
        KnownModel(
            name=f"{family['owner']}/{name}",
            modelscope=f"{there}/{renamed.get(name, name)}" if there else None,
            family=str(family["name"]),
            billions=float(billions),
            context=context if isinstance(context, int) else None,
            licence=str(family.get("licence", "")),
            template=str(family["template"]),
            is_gated=bool(family.get("gated", False)),
            brings_code=bool(family.get("code", False)),
        )
        for name, billions in models.items()
    ]
