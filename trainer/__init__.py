"""Everything that a run does, usable with no screen: configuration, run directory, data, model, stages, engine, chat.

Nothing here imports textual or `tui`.
"""

__version__ = "0.1.0"
