"""LLaMA-Factory's files: read, translated into our values, written as a preset; and a recipe written as such a file.

Not for running them: `load_preset` reads such a file as it reads a preset.
"""

from trainer.config.file_kinds import is_llamafactory
from trainer.config.llamafactory.convert import Imported, import_file, readable_import
from trainer.config.llamafactory.messages import IMPORT_TEXTS
from trainer.config.llamafactory.writing import preset_text

__all__ = ["IMPORT_TEXTS", "Imported", "import_file", "is_llamafactory", "preset_text", "readable_import"]
