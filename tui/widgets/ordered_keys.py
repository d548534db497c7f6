"""Keys take effect in the order in which they were typed, also when they come faster than the screen changes.

Over a slow link a whole burst arrives at once ("enter 1 6 enter down"). Textual hands all of it to the widget that has
the focus at that moment, lets letters act at once and keys with bindings later. Not for widgets without a focus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events

if TYPE_CHECKING:
    from textual.widget import Widget as _Mixed
else:
    # Textual looks for style sheets along the first base that is a widget: that has to be the widget's own.
    _Mixed = object


class OrderedKeys(_Mixed):
    """Mixed in before the widget's own class."""

    async def _on_key(self, event: events.Key) -> None:
        screen = self.app.screen
        target = screen.focused or screen
        if screen is not self.screen or target is not self:
            # The focus has moved since this key was put into our queue: it belongs to whoever has it now.
            event.stop()
            event.prevent_default()
            target._forward_event(events.Key(event.key, event.character))
        elif not self.check_consume_key(event.key, event.character) and await self.app._check_bindings(event.key):
            # Run here and now, not after the event has bubbled up to the app behind the keys that follow it.
            event.stop()
            event.prevent_default()
