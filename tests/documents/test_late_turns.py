"""What is kept of events whose frames are reduced elsewhere."""

from __future__ import annotations

import numpy as np

from bluesky_diffractogram.documents.late_turns import _light
from bluesky_diffractogram.documents.messages import ImagesReceived


def test_a_number_in_an_array_without_dimensions_is_kept():
    """A motor's or a monitor's, which is carried, or divides."""
    data = {"det": "datum", "motor": np.array(280.0), "mca": np.zeros(3), "list": [1, 2], "name": "a", "none": None}
    images = ImagesReceived("run", {}, {"uid": "e", "data": data}, "det", True, 1, None)
    assert list(_light(images).event["data"]) == ["det", "motor", "name", "none"]
