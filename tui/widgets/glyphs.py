"""Which characters this terminal can show: block and braille patterns, or plain ASCII. Not for colours."""

from __future__ import annotations

import os
import sys
from functools import cache


@cache
def ascii_only() -> bool:
    """The user, the terminal type or the output encoding asks for plain characters."""
    if os.environ.get("TRIMTAB_ASCII", "") not in ("", "0"):
        return True
    # The Linux console has a font of 256 or 512 characters, braille is not among them.
    if os.environ.get("TERM", "") in ("linux", "vt100", "vt220"):
        return True
    encoding = (getattr(sys.__stderr__, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "")
    return not encoding.startswith(("utf8", "utf16", "gb18030"))
