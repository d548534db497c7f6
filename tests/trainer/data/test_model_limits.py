"""The longest sequence of a model, also where its positions are stretched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trainer.data.model_limits import longest_sequence

_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1000}


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"max_position_embeddings": 1000}, 1000),
        ({"max_position_embeddings": 1000, "rope_scaling": _YARN}, 4000),
        ({"max_position_embeddings": 1000, "rope_parameters": _YARN}, 4000),
        ({"max_position_embeddings": 4000, "rope_parameters": _YARN}, 4000),
        # Stretched while it runs: the length in the file stays the original one.
        ({"max_position_embeddings": 1000, "rope_parameters": {"rope_type": "dynamic", "factor": 3.0}}, 3000),
        (
            {"max_position_embeddings": 1000, "rope_parameters": {"full_attention": _YARN, "sliding_attention": {}}},
            4000,
        ),
        ({"text_config": {"max_position_embeddings": 1000}}, 1000),
        ({}, None),
    ],
)
def test_the_longest_sequence_of_a_model(tmp_path: Path, config: dict[str, Any], longest: int | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert longest_sequence(tmp_path) == longest
