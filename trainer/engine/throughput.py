"""Tokens per second that are true: real tokens, a sliding window, no time spent on evaluation, saving or a pause."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class _Step:
    seconds: float
    real_tokens: int
    padded_tokens: int


class ThroughputMeter:
    """Measures optimizer steps; a step runs from the end of the last one, less the time spent in `excluded()`."""

    def __init__(self, window_steps: int = 50, window_seconds: float = 60.0) -> None:
        self._window: deque[_Step] = deque(maxlen=window_steps)
        self._window_seconds = window_seconds
        self._since = time.perf_counter()
        self._excluded = 0.0
        self._real = 0
        self._padded = 0
        self.total_tokens = 0
        self._started = self._since
        self._tokens_at_start = 0

    def start(self, total_tokens: int = 0) -> None:
        """Begin to measure now; `total_tokens` is what the run had seen before (on resume)."""
        self._since = time.perf_counter()
        self._excluded = 0.0
        self._real = self._padded = 0
        self.total_tokens = self._tokens_at_start = total_tokens
        self._started = self._since

    def count(self, real_tokens: int, padded_tokens: int) -> None:
        """Add one micro-batch: its tokens without and with padding."""
        self._real += real_tokens
        self._padded += padded_tokens
        self.total_tokens += real_tokens

    def end_step(self) -> None:
        """Close an optimizer step."""
        now = time.perf_counter()
        self._window.append(_Step(max(1e-9, now - self._since - self._excluded), self._real, self._padded))
        self._since, self._excluded, self._real, self._padded = now, 0.0, 0, 0

    @contextmanager
    def excluded(self) -> Iterator[None]:
        """Time inside this block does not count as training time."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._excluded += time.perf_counter() - start

    def effective_tokens_per_second(self) -> float:
        """Real tokens since the start of this process over all the time since then, evaluation and saving included."""
        return (self.total_tokens - self._tokens_at_start) / max(1e-9, time.perf_counter() - self._started)

    def values(self) -> dict[str, float]:
        """The figures over the newest steps: tokens per second (real, padded) and seconds per step."""
        seconds, real, padded, steps = 0.0, 0, 0, 0
        for step in reversed(self._window):
            seconds += step.seconds
            real += step.real_tokens
            padded += step.padded_tokens
            steps += 1
            if seconds >= self._window_seconds:
                break
        if not steps:
            return {}
        return {
            "tokens_per_second": real / seconds,
            "padded_tokens_per_second": padded / seconds,
            "step_seconds": seconds / steps,
        }
