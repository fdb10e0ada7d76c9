"""Comparison of an exported encoder with torch."""

import numpy as np
import pytest

from simtrain.errors import BundleError
from simtrain.serving.export_format import check_equal

EXPECTED = np.array([[0.6, 0.8], [0.0, 1.0]], dtype=np.float32)


def test_equal_embeddings_pass_up_to_the_tolerance() -> None:
    check_equal(EXPECTED, EXPECTED, name="encoder.x", runtime="runtime")
    check_equal(EXPECTED, EXPECTED + np.float32(0.9e-4), name="encoder.x", runtime="runtime")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (EXPECTED + np.float32(2e-4), r"encoder\.x: runtime's embeddings differ by 0\.0002; allowed: 0\.0001"),
        (EXPECTED * np.float32("nan"), r"encoder\.x: runtime's embeddings differ by nan; allowed: 0\.0001"),
        (EXPECTED[:1], r"encoder\.x: runtime gives \(1, 2\), torch \(2, 2\)"),
    ],
)
def test_what_differs_is_told(found: np.ndarray, message: str) -> None:
    with pytest.raises(BundleError, match=f"^{message}$"):
        check_equal(EXPECTED, found, name="encoder.x", runtime="runtime")
