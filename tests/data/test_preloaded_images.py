"""Images prepared once, as an encoder sees them."""

import numpy as np

from simtrain.catalog.store.reader import source_images
from simtrain.catalog.table import Catalog
from simtrain.console import SILENT
from simtrain.data.preloaded_images import preload_images
from simtrain.encoders.preprocessing import Preprocessing


def test_pictures_are_prepared_once_as_an_encoder_sees_them(catalog: Catalog):
    preprocessing = Preprocessing(
        image_size=32, resize="pad", interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1), flip_averaging=False
    )
    reader = source_images(catalog)
    settings = {"preprocessing": preprocessing, "workers": 0, "console": SILENT}
    found = preload_images(reader, [7, 3], most_bytes=2 * 32 * 32 * 3, **settings)
    assert found is not None
    for row in (3, 7):
        expected = preprocessing.pixels(reader.read(row, at_least=None))
        np.testing.assert_array_equal(preprocessing.pixels(found.read(row, at_least=None)), expected)
    assert preload_images(reader, [7, 3], most_bytes=2 * 32 * 32 * 3 - 1, **settings) is None
