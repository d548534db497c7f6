"""Matrices seen from fewer dimensions: the projections of GaLore and APOLLO. Not for what is done with them."""

from __future__ import annotations

import torch

Sides = tuple[torch.Tensor | None, torch.Tensor | None]
"""Orthonormal or random factors: left (rows, rank), right (rank, columns); a side that is not projected has None."""


def sides_of(shape: torch.Size, kind: str) -> tuple[bool, bool]:
    """Which sides of a matrix are projected: `std` the longer one, so that the small matrix keeps the shorter side."""
    tall = shape[0] >= shape[1]
    return {
        "std": (not tall, tall),
        "reverse_std": (tall, not tall),
        "left": (True, False),
        "right": (False, True),
        "full": (True, True),
    }[kind]


def largest_directions(matrix: torch.Tensor, rank: int, kind: str) -> Sides:
    """The largest singular vectors of a matrix, in its own precision."""
    rows, _, columns = torch.linalg.svd(matrix.float(), full_matrices=False)
    left, right = sides_of(matrix.shape, kind)
    return (
        rows[:, :rank].to(matrix.dtype).contiguous() if left else None,
        columns[:rank].to(matrix.dtype).contiguous() if right else None,
    )


def random_directions(matrix: torch.Tensor, rank: int, kind: str, seed: int) -> Sides:
    """Gaussian directions of variance 1 / rank, which keep lengths on average; the same ones for the same seed."""
    generator = torch.Generator(device=matrix.device).manual_seed(seed)
    left, right = sides_of(matrix.shape, kind)

    def drawn(*shape: int) -> torch.Tensor:
        noise = torch.randn(shape, generator=generator, device=matrix.device, dtype=torch.float32)
        return (noise / rank**0.5).to(matrix.dtype)

    return (
        drawn(matrix.shape[0], rank) if left else None,
        drawn(rank, matrix.shape[1]) if right else None,
    )


def project(matrix: torch.Tensor, sides: Sides) -> torch.Tensor:
    """The small matrix."""
    left, right = sides
    if left is not None:
        matrix = left.t() @ matrix
    return matrix if right is None else matrix @ right.t()


def project_back(small: torch.Tensor, sides: Sides) -> torch.Tensor:
    """The matrix of full size that has the small one's directions."""
    left, right = sides
    if left is not None:
        small = left @ small
    return small if right is None else small @ right
