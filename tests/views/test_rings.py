"""Rings of a powder on the image: as many as can be told apart as it is seen."""

from __future__ import annotations

import numpy as np
import pytest
from offered_frames import offered

from bluesky_diffractogram.views import LiveImage
from bluesky_diffractogram.views.lines import Lines
from bluesky_diffractogram.views.rings import APART, separable

CUBIC = Lines("cubic", tuple(8.0 / np.sqrt(np.arange(1, 120))))  # closer and closer


def radii(image):
    """Of the rings that are drawn, in mm."""
    (artist,) = image._rings.artists
    rings = [path.vertices for path in artist.get_paths()]
    return np.array([np.median(np.hypot((ring[:, 0] - 79.5) * 0.5, (ring[:, 1] - 59.5) * 0.6)) for ring in rings])


@pytest.mark.parametrize(
    ("gaps", "number"),
    [
        ([], 1),
        ([30.0], 2),
        ([1.0, 30.0], 3),  # a doublet
        ([30.0, 1.0, 20.0, 1.0, 20.0, 1.0, 20.0], 8),
        ([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 1.0, 1.0], 5),  # then 5, 4, 3, 2, 1 follow
        ([1.0] * 10, 1),
    ],
)
def test_rings_end_where_several_in_a_row_are_too_close(gaps, number):
    assert separable(np.array(gaps)) == number


def test_the_outer_rings_are_left_out_until_the_image_is_zoomed_into():
    image = LiveImage()
    image.set_lines(CUBIC)
    image.offer(offered())
    image.draw()
    seen = radii(image)
    angles = 2 * np.arcsin(0.4 / 2 / np.array(CUBIC.spacings[: len(seen)]))
    np.testing.assert_allclose(seen, 100 * np.tan(angles), rtol=1e-6)  # the innermost, all of them
    every = len(image._rings._rings)
    assert 5 < len(seen) < every
    screen = image.ax.get_window_extent().width / np.ptp(image.ax.get_xlim())
    assert np.diff(seen)[-6:].mean() / 0.5 * screen >= APART - 1

    image.ax.set_xlim(80, 120)
    image.ax.set_ylim(60, 90)
    assert image.changed()
    image.draw()
    assert len(seen) < len(radii(image)) <= every
    image.ax.autoscale(True)
    image.draw()
    image.draw()
    assert len(radii(image)) == len(seen)
