"""`trimtab data`: data sets listed, shown, checked, encoded and registered. One function per action is in the files
beside this one, imported only when it is asked for.
"""

from __future__ import annotations

import importlib
from argparse import Namespace
from collections.abc import Callable
from typing import cast

_FILES = {
    "list": "data_sets",
    "show": "data_sets",
    "register": "data_register",
    "templates": "data_register",
    "check": "data_check",
    "preview": "data_rows",
    "encode": "data_rows",
}


def data(arguments: Namespace) -> int:
    """Do what the second word says."""
    module = importlib.import_module(f"tui.commands.{_FILES[arguments.action]}")
    return cast(Callable[[Namespace], int], getattr(module, f"{arguments.action}_command"))(arguments)
