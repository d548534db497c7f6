"""Data sets are found, browsed and read without the heavy libraries; those come with the files that need them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "transformers", "datasets", "numpy", "pandas", "pyarrow", "fsspec", "yaml", "textual")


def test_finding_and_reading_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("instruction,output\na,b\n")
    code = (
        "import sys; from pathlib import Path; import trainer.data.hub; from trainer.data.browse import RowBrowser; "
        "from trainer.data.registry import find_dataset; from trainer.data.sources import read_rows; "
        f"files = find_dataset('rows.csv', Path({str(tmp_path)!r})).files; "
        "browser = RowBrowser(files); browser.extend(1); "
        "assert browser.read(0, 9) == [row for file in files for row in read_rows(file)]; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
