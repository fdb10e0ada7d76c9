"""Values of columns as parts of the catalogue."""

from pathlib import Path

import pandas as pd
import pytest

from simtrain.catalog.sources.table_parts import rows_that_fit
from simtrain.errors import CatalogError


def test_a_fifth_of_the_rows_may_have_a_value_that_is_not_allowed() -> None:
    frame = pd.DataFrame({"part": ["train", "test", "spare", "val", None], "shown": ["yes", "0", "maybe", "1", None]})
    used = {"split": "part", "gallery": "shown", "path": "part"}
    places, (finding,) = rows_that_fit(Path("t.csv"), frame, used=used, rows=[2, 3, 4, 5, 6])
    assert (places, finding["rows"]) == ([0, 1, 3, 4], [4])
    with pytest.raises(CatalogError, match=r"^t\.csv: row 3: part: 'spare' is no split; allowed: train, "):
        rows_that_fit(Path("t.csv"), frame[1:4], used=used, rows=[2, 3, 4])
