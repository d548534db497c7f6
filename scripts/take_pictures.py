"""Takes the pictures in docs/images of the real screens: trains the demo, opens the cockpit on it, saves SVG files.

usage: python -m scripts.take_pictures        (about a minute; `make docs` calls it)
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from pathlib import Path

from textual.pilot import Pilot

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
WIDE = (120, 38)
_LOOK_AT_STEP = 90
# Textual's pictures fetch a font from the network; any monospaced one of the viewer's will do.
_FONT_FACE = re.compile(r"@font-face \{.*?\}", re.DOTALL)
_FONTS = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', 'Noto Sans Mono CJK SC'"
_SPACE = "&#160;"
_CELL = 12.2
_TEXT = re.compile(r'(<text [^>]*?)x="([\d.]+)"([^>]*?) textLength="([\d.]+)"([^>]*)>([^<]*)</text>')


async def _wait(pilot: Pilot[int], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await pilot.pause(0.1)


def _save(pilot: Pilot[int], name: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    picture = _FONT_FACE.sub("", pilot.app.export_screenshot(title="trimtab")).replace("Fira Code", _FONTS)
    (IMAGES / f"{name}.svg").write_text(_TEXT.sub(_without_outer_spaces, picture), encoding="utf-8")
    print(f"docs/images/{name}.svg")


def _without_outer_spaces(found: re.Match[str]) -> str:
    """A text element whose leading and trailing spaces became a shift: some viewers swallow them."""
    before, x, between, length, after, text = found.groups()
    leading = 0
    while text.startswith(_SPACE):
        text, leading = text.removeprefix(_SPACE), leading + 1
    trailing = 0
    while text.endswith(_SPACE):
        text, trailing = text.removesuffix(_SPACE), trailing + 1
    if not text:
        return ""
    start = float(x) + leading * _CELL
    width = float(length) - (leading + trailing) * _CELL
    return f'{before}x="{start:g}"{between} textLength="{width:g}"{after}>{text}</text>'


async def _take() -> None:
    from trainer.config import Hardware, load_preset, resolve
    from trainer.run import create_run, launch
    from tui.app import TrimtabApp

    run = create_run("demo", resolve(load_preset("demo").recipe, Hardware.detect()))
    launch(run)
    while (status := run.status()) is None or status.step < _LOOK_AT_STEP:
        await asyncio.sleep(0.1)
    run.send("set", name="learning_rate_scale", value=0.5)
    async with TrimtabApp(screen="dashboard", run=run.path).run_test(size=WIDE) as pilot:
        await _wait(pilot, 2.5)
        _save(pilot, "dashboard")
        while run.state().alive:
            await pilot.pause(0.2)
        await pilot.press("1")
        await _wait(pilot, 1)
        for key in ("l", "l", "down", "down"):
            await pilot.press(key)
        await _wait(pilot, 1)
        _save(pilot, "setup")
        await pilot.press("2")
        await _wait(pilot, 1)
        await pilot.press("c")
        await _wait(pilot, 12)
        for question in ("Who are you?", "你是谁？"):
            await pilot.press(*question, "enter")
            await _wait(pilot, 4)
            await pilot.press("f2")
            await _wait(pilot, 4)
        _save(pilot, "chat")
    await _take_data()


async def _take_data() -> None:
    """The Data screen on a shipped set: a row as it stands in the file, as the model reads it, as tokens; the check."""
    from tui.app import TrimtabApp

    app = TrimtabApp(screen="data")
    app.data_request = "messages_sample"
    async with app.run_test(size=WIDE) as pilot:
        await _wait(pilot, 3)
        for key, name in (("r", "data-raw"), ("d", "data-rendered"), ("t", "data-tokens")):
            await pilot.press(key)
            await _wait(pilot, 1)
            _save(pilot, name)
        app.draft_recipe().set("data.cutoff_len", 64)
        app.open_data("demo_replay")
        await _wait(pilot, 1)
        await pilot.press("c")
        await _wait(pilot, 4)
        _save(pilot, "data-check")


def main() -> None:
    """Take all pictures in folders of their own, so that nothing of the user's shows."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            TRIMTAB_RUNS=f"{folder}/runs",
            XDG_STATE_HOME=f"{folder}/state",
            XDG_DATA_HOME=f"{folder}/share",
            XDG_CONFIG_HOME=f"{folder}/config",
            TRIMTAB_LANGUAGE="en",
            TEXTUAL_ANIMATIONS="none",
        )
        asyncio.run(_take())


if __name__ == "__main__":
    main()
