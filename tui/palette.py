"""The order of the command palette: what one can do here first, the themes after it. The app gives the commands."""

from __future__ import annotations

from textual.command import DiscoveryHit, Hit, Hits
from textual.system_commands import SystemCommandsProvider

from tui.locale import text

_THEME_SCORE = 0.5
"""A theme that matches as well as a key comes after it."""


class OrderedCommands(SystemCommandsProvider):
    """Textual's provider sorts by name, and would mix the themes into the commands."""

    async def discover(self) -> Hits:
        """Everything, in the order in which the app gives it."""
        for name, help_text, callback, _ in self.app.get_system_commands(self.screen):
            yield DiscoveryHit(name, callback, help=help_text)

    async def search(self, query: str) -> Hits:
        """What matches the letters typed so far."""
        matcher = self.matcher(query)
        for name, help_text, callback, _ in self.app.get_system_commands(self.screen):
            match = matcher.match(name)
            if match > 0:
                score = match * (_THEME_SCORE if help_text == text("common.theme_help") else 1.0)
                yield Hit(score, matcher.highlight(name), callback, help=help_text)
