"""Asking a reward service by HTTP, in the form that LLaMA-Factory's reward servers speak. Not for models of ours."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trainer.errors import UserError

from .rollouts import Answer

_TRIES = 4
_FIRST_WAIT_SECONDS = 1.0
_GIVE_UP_AT_ONCE = (400, 401, 403, 404, 405, 413, 422)


@dataclass(frozen=True)
class RewardService:
    """POST {"model": "model", "messages": [prompt and answer as one text, ...]} -> {"scores": [number, ...]}."""

    address: str
    timeout: float
    """Seconds."""

    def scores(self, answers: Sequence[Answer]) -> torch.Tensor:
        """(answers,) float32. What fails for a moment is tried again, after 1, 2 and 4 seconds.

        Raises:
            UserError: when the service refuses, answers something else, or does not answer after all tries.
        """
        texts = [answer.prompt + answer.text for answer in answers]
        body = json.dumps({"model": "model", "messages": texts}, ensure_ascii=False).encode()
        for number in range(_TRIES):
            try:
                return self._read(self._post(body), len(answers))
            except (OSError, ValueError) as error:
                refused = isinstance(error, urllib.error.HTTPError) and error.code in _GIVE_UP_AT_ONCE
                if refused or number == _TRIES - 1:
                    raise UserError(
                        f"the reward service does not answer: {error}",
                        field="reward_model",
                        value=self.address,
                        hint="Look whether it runs; then `trimtab resume` goes on from the last checkpoint.",
                    ) from error
                print(f"reward service: {error}; trying again", flush=True)
                time.sleep(_FIRST_WAIT_SECONDS * 2**number)
        raise AssertionError

    def _post(self, body: bytes) -> Any:
        request = urllib.request.Request(self.address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=self.timeout) as response:
            return json.loads(response.read())

    def _read(self, told: Any, count: int) -> torch.Tensor:
        numbers = told.get("scores") if isinstance(told, dict) else None
        fine = isinstance(numbers, list) and len(numbers) == count and all(map(_is_number, numbers))
        if not fine:
            raise UserError(
                f'the reward service answers {json.dumps(told)[:80]}, expected {{"scores": [{count} numbers]}}',
                field="reward_model",
                value=self.address,
            )
        return torch.tensor(numbers, dtype=torch.float32)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
