"""Memory, verdict, disk, time and price in words, in the language in force. Not for drawing them."""

from __future__ import annotations

from tui.forms.entry import shown_text
from tui.forms.outlook import PARTS, Forecast, Outlook, WayOut
from tui.forms.summary import short_name
from tui.locale import text
from tui.widgets.measures import duration, size

SIGNS = {
    "frozen_weights": "W",
    "trained_weights": "T",
    "gradients": "G",
    "optimizer": "O",
    "activations": "A",
    "logits": "L",
    "update": "U",
    "evaluation": "E",
    "overhead": "P",
}
"""One letter for each part, so that a bar can be read without its colours."""
FREE, OTHERS = ".", "x"
_ROWS, _BATCHES = "train.per_device_train_batch_size", "train.gradient_accumulation_steps"


def verdict_text(seen: Outlook) -> str:
    """`12.3 of 23.1 GiB free: fits`."""
    if seen.device.free is None:
        return text("estimate.short_unknown", need=size(seen.total))
    verdict = text(f"estimate.word_{seen.verdict}")
    return text("estimate.short", need=size(seen.total), free=size(seen.device.free), verdict=verdict)


def bar(seen: Outlook, width: int) -> tuple[tuple[str, str], ...]:
    """The bar in pieces of one letter each, with the name of the part (or `free`, `others`); `width` cells together.

    The whole is the device's memory, or what the run needs where that is more.
    """
    used, free = seen.device.used or 0, seen.device.free
    whole = max(seen.total, (free or 0)) + used
    if not whole:
        return ()
    pieces: list[tuple[str, str]] = []
    amounts = [("others", used), *((part, seen.parts[part]) for part in PARTS)]
    filled = cells = 0
    for name, amount in amounts:
        filled += amount
        upto = round(width * filled / whole)
        if upto > cells:
            pieces.append((name, (OTHERS if name == "others" else SIGNS[name]) * (upto - cells)))
        cells = max(cells, upto)
    if cells < width:
        pieces.append(("free", FREE * (width - cells)))
    return tuple(pieces)


def legend(seen: Outlook) -> list[tuple[str, str]]:
    """Part, and its letter in the bar with its name, of those that are there; the largest first."""
    there = [part for part in PARTS if seen.parts[part] >= 2**20]
    there.sort(key=lambda part: -seen.parts[part])
    return [(part, f"{SIGNS[part]} {text(f'estimate.{part}')}") for part in there]


def facts(seen: Outlook, told: Forecast) -> list[tuple[str, str]]:
    """Label and words for disk, time and price, of what is known."""
    found = []
    if told.disk is not None:
        words = size(told.disk)
        if seen.disk_free is not None:
            words = text("estimate.disk_of", need=words, free=size(seen.disk_free))
            if told.disk > seen.disk_free:
                words = f"! {words}"
    else:
        words = text("estimate.disk_each", size=size(seen.checkpoint))
    found.append((text("estimate.disk"), words))
    if told.seconds is not None:
        key = "estimate.time_after" if seen.speed_is_exact else "estimate.time_about"
        words = text(key, time=duration(told.seconds), run=seen.speed_of)
        found.append((text("estimate.time"), words))
    if told.price is not None:
        found.append((text("estimate.price"), f"{told.price:,.2f}"))
    return found


def change_words(way: WayOut) -> str:
    """`lora_rank = 8, cutoff_len = 1024`; a smaller batch with its batches: `per_device_train_batch_size = 1 × 32`."""
    words = []
    for key, value in way.change.items():
        if key == _ROWS and _BATCHES in way.change:
            words.append(f"{short_name(key)} = {shown_text(value)} × {shown_text(way.change[_BATCHES])}")
        elif key != _BATCHES or _ROWS not in way.change:
            words.append(f"{short_name(key)} = {shown_text(value)}")
    return ", ".join(words)


def way_text(way: WayOut) -> str:
    """A way out in one line, with what it needs and whether that is enough."""
    enough = text("estimate.word_fits" if way.fits else "estimate.word_not_enough")
    return f"{size(way.total)}  {enough}  {change_words(way)}"
