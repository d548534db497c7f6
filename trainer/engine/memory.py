"""What a run says of its memory: the estimate before the first step, the measured peak at its end. Not for either."""

from __future__ import annotations

import resource
import traceback

import torch

from trainer.config import Recipe
from trainer.errors import UserError
from trainer.model.memory import MemoryEstimate, estimate_memory
from trainer.run.messages import words

from .session import RunSession

_MIB = 2**20


def say_estimate(session: RunSession, recipe: Recipe, longest_row: int | None) -> MemoryEstimate | None:
    """Tell the memory of a step by part; None where it cannot be known.

    Called before anything random: the estimate leaves the random state alone all the same.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            memory = estimate_memory(recipe, is_gpu=torch.cuda.is_available(), length=longest_row)
    except UserError:
        return None  # what is wrong with the model is told where it is loaded
    except Exception:
        # An estimate is never a reason to lose a run; the log has what went wrong.
        traceback.print_exc()
        return None
    rest = memory.logits + memory.update + memory.evaluation + memory.overhead
    session.finding(
        "info",
        words(
            "run_memory",
            total=_size(memory.total),
            weights=_size(memory.frozen_weights + memory.trained_weights),
            gradients=_size(memory.gradients),
            optimizer=_size(memory.optimizer),
            activations=_size(memory.activations),
            rest=_size(rest),
            batch=memory.batch,
            length=memory.length,
        ),
    )
    return memory


def say_peak(session: RunSession, memory: MemoryEstimate | None, step: int) -> None:
    """Tell the most memory that was held at once, beside what was estimated: on a GPU by PyTorch's allocator, on the
    CPU by the whole process.
    """
    if torch.cuda.is_available():
        measured, guess = int(torch.cuda.max_memory_allocated()), memory.tensors if memory else None
    else:
        measured, guess = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, memory.total if memory else None
    if guess is None:
        session.finding("info", words("run_memory_peak", measured=_size(measured), bytes=measured), step)
    else:
        said = words("run_memory_peak_estimated", measured=_size(measured), estimated=_size(guess), bytes=measured)
        session.finding("info", said, step)


def _size(count: int) -> str:
    return f"{count / _MIB:,.0f} MiB"
