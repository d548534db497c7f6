"""Any row of any data file at once, for screens: files of a million rows open without being read. Not for training,
which reads files from front to back (`trainer.data.sources`).
"""

from trainer.data.browse.row_browser import RowBrowser, SearchStep

__all__ = ["RowBrowser", "SearchStep"]
