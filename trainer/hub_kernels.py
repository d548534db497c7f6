"""Keeps libraries from downloading compiled code and running it, which the package `kernels` does for them.

transformers would take attention and 8-bit arithmetic from there, bitsandbytes a product of matrices as soon as it is
imported; neither asks. Without the package both fall back on what is installed.
"""

from __future__ import annotations

import logging
import sys


def hide_hub_kernels() -> None:
    """Make `import kernels` fail in this process; before torch and its friends are imported."""
    sys.modules["kernels"] = None  # type: ignore[assignment]
    # On a CPU its only warning is that this package is missing, which reads like a failure in every log.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
