"""The powder whose lines are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bluesky_diffractogram.sim.sample import Phase, PowderSample, heated_iron

WAVELENGTH = 0.31e-10


@pytest.fixture(scope="module")
def iron() -> PowderSample:
    return heated_iron()


def test_ceria_lines_are_where_its_lattice_parameter_says(iron: PowderSample) -> None:
    # NIST SRM 674b: a = 5.41165 Å; fluorite: hkl all odd or all even
    indices = [
        (1, 1, 1),
        (2, 0, 0),
        (2, 2, 0),
        (3, 1, 1),
        (2, 2, 2),
        (4, 0, 0),
        (3, 3, 1),
        (4, 2, 0),
        (4, 2, 2),
        (5, 1, 1),
    ]
    sine = [0.31 * math.sqrt(h * h + k * k + l * l) / (2 * 5.41165) for h, k, l in indices]
    expected = [2 * math.degrees(math.asin(s)) for s in sine]
    np.testing.assert_allclose(iron.two_theta(300.0, WAVELENGTH)[:10], expected, rtol=1e-4)


def test_iron_lines_are_where_its_lattice_parameters_say(iron: PowderSample) -> None:
    lines = iron.two_theta(300.0, WAVELENGTH)
    # α-Fe 110: d = 2.0269 Å; γ-Fe extrapolated to 300 K, 111: d = 2.0629 Å
    assert lines[10] == pytest.approx(math.degrees(2 * math.asin(0.155 / 2.0269)), rel=1e-4)
    assert lines[15] == pytest.approx(math.degrees(2 * math.asin(0.155 / 2.0629)), rel=1e-4)


def test_lines_move_as_their_expansion_says(iron: PowderSample) -> None:
    cold, hot = iron.two_theta(300.0, WAVELENGTH), iron.two_theta(1300.0, WAVELENGTH)
    strain = np.sin(np.deg2rad(cold / 2)) / np.sin(np.deg2rad(hot / 2)) - 1.0
    np.testing.assert_allclose(strain, np.repeat([11.6e-3, 14.5e-3, 23.3e-3], [10, 5, 5]), rtol=1e-9)


def test_a_line_that_no_angle_reaches_is_nan_and_counts_nothing() -> None:
    sample = PowderSample("far", (Phase("x", (3.0, 0.4), (10.0, 1000.0), 0.0),))
    assert np.isnan(sample.two_theta(300.0, 1e-10)).tolist() == [False, True]
    assert np.isfinite(sample.pattern(np.linspace(0, 180, 500), 300.0, 1e-10)).all()


def test_one_phase_goes_where_the_other_comes(iron: PowderSample) -> None:
    _, alpha, gamma = iron.phases
    for temperature in (300.0, 1150.0, 1185.0, 1230.0, 1500.0):
        parts = [phase.fraction(temperature, iron.transition_width) for phase in (alpha, gamma)]
        assert sum(parts) == pytest.approx(1.0)
    assert alpha.fraction(300.0, 60.0) == pytest.approx(1.0)
    assert alpha.fraction(1185.0, 60.0) == pytest.approx(0.5)
    assert alpha.fraction(1500.0, 60.0) == pytest.approx(0.0, abs=1e-6)
    assert iron.phases[0].fraction(1500.0, 60.0) == 1.0


def test_the_strongest_line_is_of_the_phase_that_stays(iron: PowderSample) -> None:
    for temperature in np.linspace(300, 1500, 13):
        assert np.argmax(iron.heights(temperature)) == 0


def test_a_line_has_its_height_and_width() -> None:
    single = Phase("one", (2.0,), (400.0,), 0.0)
    sample = PowderSample("one line", (single,), fwhm=0.1)
    without = PowderSample("none", (Phase("one", (2.0,), (0.0,), 0.0),), fwhm=0.1)
    centre = sample.two_theta(300.0, WAVELENGTH)[0]
    angles = centre + np.array([-0.05, 0.0, 0.05])
    line = sample.pattern(angles, 300.0, WAVELENGTH) - without.pattern(angles, 300.0, WAVELENGTH)
    np.testing.assert_allclose(line, [200.0, 400.0, 200.0], rtol=1e-9)


def test_a_phase_with_lines_but_no_heights_is_refused() -> None:
    with pytest.raises(ValueError, match="2 spacings but 1 heights"):
        Phase("bad", (2.0, 1.0), (1.0,), 0.0)
