"""Codes of equal pictures among all rows and among some."""

from pathlib import Path

import numpy as np
import pandas as pd

from simtrain.catalog.table import Catalog
from simtrain.evaluation.image_copies import picture_codes


def test_pictures_among_some_rows_are_equal_where_they_are_among_all() -> None:
    rows = pd.DataFrame({"pixel_sha256": ["c", "a", None, "c", "b", None, "a"], "sha256": list("1234567")})
    catalog = Catalog(rows=rows, root=Path(), folder=Path())
    chosen = np.array([6, 0, 2, 3, 5, 1])
    everywhere, among = picture_codes(catalog)[chosen], picture_codes(catalog, chosen)
    np.testing.assert_array_equal(everywhere[:, None] == everywhere, among[:, None] == among)
    assert len(set(among.tolist())) == 4
