"""The folder that courses are run in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.methods.training import home_in
from tests.stages.courses import Courses


@pytest.fixture(scope="module")
def courses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Courses]:
    folder = tmp_path_factory.mktemp("stages")
    with home_in(folder):
        yield Courses(folder)
