"""The cockpit never loads what belongs to the trainer: looked at in the real process, on a real terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trainer.run.fake_trainer import write_run
from tests.tui.cockpit_world import own_folders
from tests.tui.real_terminal import RealTerminal

FORBIDDEN = {"torch", "transformers", "trl", "peft", "datasets", "accelerate", "numpy", "pandas", "bitsandbytes"}

# Opens the cockpit exactly as the command line does and writes down, in the drawing process, what was imported.
CODE = """
import json, sys
from pathlib import Path
from tui import cockpit
draw = cockpit._draw
def watched(*arguments):
    code = draw(*arguments)
    Path({out!r}).write_text(json.dumps(sorted(sys.modules)))
    return code
cockpit._draw = watched
sys.exit(cockpit.open_cockpit(run=Path({run!r})))
"""


def test_no_screen_of_the_real_cockpit_loads_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(own_folders(tmp_path, monkeypatch) / "done", steps=40)
    out = tmp_path / "modules.json"
    terminal = RealTerminal(CODE.format(out=str(out), run=str(run.path)), TRIMTAB_LANGUAGE="en")
    assert terminal.read(30, until=b"press c to chat")
    for key in b"1", b"3", b"5", b"6", b"2":
        terminal.press(key)
        terminal.read(1.5)
    terminal.press(b"\x11")
    assert terminal.wait() == 0
    loaded = set(json.loads(out.read_text()))
    assert "tui.screens.dashboard" in loaded
    assert "tui.screens.setup" in loaded
    assert "tui.screens.data" in loaded
    assert "plotext" in loaded
    assert loaded & FORBIDDEN == set()
