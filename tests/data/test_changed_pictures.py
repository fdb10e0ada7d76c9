"""Changed copies of pictures, as they are read."""

from pathlib import Path

import numpy as np
import pytest
from small_shops import class_folders, run

from simtrain.catalog.changed_rows import CHANGE, with_changed_rows
from simtrain.data.changed_pictures import ChangedPictures, changed, open_judged_images


def test_a_change_cuts_and_darkens() -> None:
    picture = np.full((100, 60, 3), 200, dtype=np.uint8)
    made = changed(picture)
    assert made.shape == (70, 42, 3)
    assert made.mean() == pytest.approx(140, abs=2)  # 200 · 0.7
    assert (picture == 200).all()


def test_rows_of_changed_copies_alone_are_changed(tmp_path: Path) -> None:
    catalog = run(class_folders(tmp_path / "shop", labels=4, images=6), tmp_path / "out").catalog
    judged = with_changed_rows(catalog)
    plain, images = (open_judged_images(one, smallest=8) for one in (catalog, judged))
    assert plain.description == images.description
    for row, is_changed in enumerate(judged.rows[CHANGE]):
        original = catalog.rows.index[catalog.rows["path"] == judged.rows["path"][row]][0]
        unchanged = plain.reader.read(int(original), at_least=None)
        expected = changed(unchanged) if is_changed else unchanged
        assert np.array_equal(images.reader.read(row, at_least=None), expected)
    assert isinstance(images.reader, ChangedPictures)
    assert not isinstance(plain.reader, ChangedPictures)
