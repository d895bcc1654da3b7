"""Lines, readouts and outlines, where the geometry moves: those of the frame that is shown."""

from __future__ import annotations

import math

import pytest
from documents.conftest import cfg, send, small_poni
from documents.test_moving import moving_run

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.config.quantities import HC
from bluesky_diffractogram.views import DiffractogramFigure
from bluesky_diffractogram.views.curves import LiveDiffractogram
from bluesky_diffractogram.views.lines import Lines

__all__ = ["cfg", "small_poni"]

D = 2.6  # Å


def angle(energy):
    return math.degrees(2.0 * math.asin(HC / energy / (2.0 * D)))


def places(curves):
    curves.refresh()
    return [float(segment[0][0]) for segment in curves._powder.artist.get_segments()]


@pytest.mark.parametrize("units", ["2th [deg]", "q [1/A]"])
def test_lines_and_readout_follow_the_energy_of_the_latest_frame(cfg, units):
    curves = LiveDiffractogram(auto_redraw=False)
    curves.set_lines(Lines("powder", (D,)))
    with ReductionCallback(
        {**cfg, "diff_units": units, "geometry": {"energy": "e"}}, background=False, strict=True
    ) as diff:
        diff.subscribe(curves)
        for energy in (31.0, 27.0):
            send(diff, moving_run({"e": [energy]}))
            here = angle(energy) if units[0] == "2" else 2.0 * math.pi / D
            assert places(curves) == pytest.approx([here])
            assert f"d {D:.4f} Å" in curves.readout(here, 0.0)


def test_the_figure_shows_rings_where_the_detector_was(cfg):
    """On an axis of r the lines go with the distance; the image's outlines and readout do, too."""
    figure = DiffractogramFigure()
    figure._lines = Lines("powder", (D,))
    figure._pass_lines()
    moving = {**cfg, "diff_units": "r [mm]", "geometry": {"distance": "z"}}
    with ReductionCallback(moving, background=False) as diff:
        diff.subscribe(figure)
        diff.on_frame(figure.offer)
        for distance in (0.1, 0.13):
            send(diff, moving_run({"z": [distance]}))
            assert figure.image.frame.detector.projection.geometry.distance == distance
            # the tilt of the detector bends the ring by a percent
            two_theta = 2.0 * math.asin(0.4 / (2.0 * D))
            assert places(figure.curves) == pytest.approx([1e3 * distance * math.tan(two_theta)], rel=0.02)


def test_a_picked_row_has_no_wavelength_where_each_frame_has_its_own(cfg):
    from bluesky_diffractogram.views.derived import DerivedRuns

    runs, streams = DerivedRuns(), []

    def take(name, doc):
        if name == "start":
            runs.start(doc)
        elif name == "descriptor":
            streams.append(runs.descriptor(doc))

    for geometry in ({"energy": "e"}, {"distance": "e"}, None):
        with ReductionCallback({**cfg, "geometry": geometry}, background=False) as diff:
            diff.subscribe(take)
            send(diff, moving_run({"e": [0.2 if geometry == {"distance": "e"} else 30.0]}))
    assert [(stream.moves, stream.wavelength) for stream in streams] == [(True, None), (True, 4e-11), (False, 4e-11)]
