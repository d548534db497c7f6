"""Data: rows of files become dialogues, dialogues become tokens and labels. Nothing here needs torch but `collate`,
which is imported by its full name. The cockpit, `trimtab check` and the trainer use the same code.
"""

from trainer.data.dataset import NOT_TRAINED, EncodedExample, EncodedRows
from trainer.data.fingerprint import FileFingerprint, fingerprint
from trainer.data.messages import BadRow, Message, Row, SourceReference
from trainer.data.model_folder import find_model_folder
from trainer.data.preflight import preflight
from trainer.data.prepare import PreparedData, prepare, recipe_tokenizer
from trainer.data.registry import list_datasets
from trainer.data.report import DataReport
from trainer.data.templates import ChatTemplate
from trainer.data.tokenizer import TextTokenizer, load_tokenizer

__all__ = [
    "NOT_TRAINED",
    "BadRow",
    "ChatTemplate",
    "DataReport",
    "EncodedExample",
    "EncodedRows",
    "FileFingerprint",
    "Message",
    "PreparedData",
    "Row",
    "SourceReference",
    "TextTokenizer",
    "find_model_folder",
    "fingerprint",
    "list_datasets",
    "load_tokenizer",
    "preflight",
    "prepare",
    "recipe_tokenizer",
]
