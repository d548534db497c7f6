"""Whether the optimizer may move: loss and gradients of the step have to be finite."""

from __future__ import annotations

from trainer.run.messages import Words, words

_BAD_STEPS_IN_A_ROW = 5


class NotFinite(Exception):
    """Loss or gradients were not finite for several optimizer steps in a row; `said` tells it."""

    def __init__(self, said: Words) -> None:
        super().__init__(said.text)
        self.said = said


class StepGuard:
    """Lets good steps pass and counts the bad ones."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self.bad_since_log = False
        """Whether a step was bad whose loss is part of the next logged mean."""

    def passes(self, is_finite: bool, step: int) -> bool:
        """Whether `step` may be taken.

        Raises:
            NotFinite: when it is the last straw.
        """
        if is_finite:
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        self.bad_since_log = True
        if self._in_a_row >= _BAD_STEPS_IN_A_ROW:
            raise NotFinite(words("run_gave_up", count=self._in_a_row, step=step))
        return False
