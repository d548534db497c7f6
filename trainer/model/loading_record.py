"""How the base of a checkpoint was loaded, so that it is loaded the same way again. Not for loading it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer.config import Recipe, parameter

from .quantization import Quantization
from .rope import Rope


@dataclass(frozen=True)
class LoadingRecord:
    """What a checkpoint's trimtab.json says under `loading`."""

    quantization: Quantization | None = None
    rope: Rope | None = None
    infer_dtype: str = "auto"
    offload_folder: str = "offload"
    use_kv_cache: bool = True
    spread: bool = False
    """Over all GPUs (`quantization_device_map = "auto"`)."""

    @staticmethod
    def of_run(recipe: Recipe, config: Any) -> LoadingRecord:
        """What a run on this recipe did; `config` is that of its model, as it was built."""
        text = config.get_text_config()
        # Also where an adapter that is trained on brought them.
        stretched = recipe.model.rope_scaling is not None or bool(recipe.model.adapter_name_or_path)
        parameters = getattr(text, "rope_parameters", None)
        rope = Rope(parameters, int(text.max_position_embeddings)) if stretched and parameters else None
        return LoadingRecord(Quantization.of(recipe), rope).with_chat_settings(recipe)

    @staticmethod
    def of_checkpoint(folder: Path) -> LoadingRecord:
        """What stands in a checkpoint's folder; the defaults where it says nothing."""
        file = folder / "trimtab.json"
        details = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        found = details.get("loading") or {}
        quantization, rope = found.get("quantization"), found.get("rope")
        return LoadingRecord(
            None if quantization is None else Quantization(**quantization),
            None if rope is None else Rope(rope["parameters"], rope["longest"]),
            **{
                name: found[name]
                for name in ("infer_dtype", "offload_folder", "use_kv_cache", "spread")
                if name in found
            },
        )

    def with_chat_settings(self, recipe: Recipe) -> LoadingRecord:
        """The same, with what the recipe says about chatting."""
        model = recipe.model
        return replace(
            self,
            infer_dtype=model.infer_dtype,
            offload_folder=model.offload_folder,
            use_kv_cache=model.use_kv_cache,
            spread=recipe.quantization.quantization_device_map == "auto",
        )

    def with_settings(self, settings: Mapping[str, Any]) -> LoadingRecord:
        """The same with parameters by their names (`infer_dtype`, `quantization_bit` ...) in the place of its own.

        Raises:
            pydantic.ValidationError: a value does not fit its parameter.
        """
        if not settings:
            return self
        keys = {parameter(name).key: value for name, value in settings.items()}
        recipe = Recipe().with_values({**self._as_recipe(), **keys})
        return replace(self, quantization=Quantization.of(recipe)).with_chat_settings(recipe)

    def _as_recipe(self) -> dict[str, object]:
        """By dotted key."""
        found: dict[str, object] = {
            "model.infer_dtype": self.infer_dtype,
            "model.offload_folder": self.offload_folder,
            "model.use_kv_cache": self.use_kv_cache,
            "quantization.quantization_device_map": "auto" if self.spread else None,
        }
        how = self.quantization
        if how is not None:
            found["quantization.quantization_method"] = how.method
            found["quantization.quantization_bit"] = how.bits
            found["quantization.quantization_type"] = how.number_format
            found["quantization.double_quantization"] = how.double
        return found

    def as_json(self) -> dict[str, object]:
        """As it stands in trimtab.json."""
        rope = self.rope
        return {
            "quantization": None if self.quantization is None else self.quantization.as_json(),
            "rope": None if rope is None else {"parameters": dict(rope.parameters), "longest": rope.longest},
            "infer_dtype": self.infer_dtype,
            "offload_folder": self.offload_folder,
            "use_kv_cache": self.use_kv_cache,
            "spread": self.spread,
        }
