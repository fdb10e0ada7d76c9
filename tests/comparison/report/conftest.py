"""The page of a full report, which most tests of it only look at."""

import pytest
from page_parser import Page, written
from tiny_comparison import tiny_comparison


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return written(tmp_path_factory.mktemp("report"), tiny_comparison())
