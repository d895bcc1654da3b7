"""Files of columns, as the programs read them that they are for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray
from column_readers import Refused, bank, dioptas, gsas2_chi, gsas2_fxye, gsas2_temperature
from derived_datasets import AXES, WAVELENGTH, made, reduced

from bluesky_diffractogram.replay.columns import to_chi, to_fxye, to_xy


def two_theta(q: np.ndarray, wavelength: float = WAVELENGTH) -> np.ndarray:
    """2θ in degrees of q in 1/Å, by Bragg's law."""
    return 2.0 * np.degrees(np.arcsin(q * wavelength * 1e10 / (4.0 * np.pi)))


IN_DEGREES = {
    "q_A^-1": two_theta,
    "q_nm^-1": lambda q: two_theta(q / 10.0),
    "2th_deg": lambda angle: angle,
    "2th_rad": np.degrees,
    "d_A": lambda d: two_theta(2.0 * np.pi / d),
}


@pytest.mark.parametrize(("export", "suffix"), [(to_xy, "xy"), (to_chi, "chi"), (to_fxye, "fxye")])
def test_every_frame_and_range_gives_a_file(export, suffix: str, tmp_path: Path) -> None:
    written = export(made(frames=3), tmp_path / "new" / "folder")
    names = [f"scan_0000{n}_range{i}.{suffix}" for n in range(3) for i in (1, 2)]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == names


@pytest.mark.parametrize("unit", AXES)
def test_xy_keeps_the_unit_and_the_filled_bins(unit: str, tmp_path: Path) -> None:
    dataset = made(unit)
    path = to_xy(dataset, tmp_path)[2]
    radial, intensity, sigma = np.loadtxt(path, unpack=True)
    expected = dataset["diff_1"].values[1]
    filled = ~np.isnan(expected)
    assert filled.sum() == len(expected) - 3
    np.testing.assert_allclose(radial, dataset["radial_1"].values[filled], rtol=1e-8)
    np.testing.assert_allclose(intensity, expected[filled], rtol=1e-8)
    np.testing.assert_allclose(sigma, dataset["sigma_1"].values[1][filled], rtol=1e-8)
    for got, wanted in zip(dioptas(path), (radial, intensity), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_the_head_of_xy_says_where_the_curve_is_from(tmp_path: Path) -> None:
    lines = to_xy(made(sigma=False), tmp_path)[2].read_text().splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# frame: scan.h5[1]",
        "# range 1: azimuth 170 to 190 deg, q [1/A] 0.5 to 6",
        "# unit: q_A^-1",
        "# calibration: /data/lab6.poni",
        "# ring_current: 99.5 mA",
        "# furnace: 312.5 K",
        "# empty bins left out: 3 of 41",
        "# columns: q_[1/A] intensity",
    ]


@pytest.mark.parametrize("unit", ["q_A^-1", "q_nm^-1", "2th_deg", "2th_rad", "d_A"])
def test_chi_is_in_two_theta_for_dioptas_and_gsas2(unit: str, tmp_path: Path) -> None:
    dataset = made(unit)
    path = to_chi(dataset, tmp_path)[2]
    radial, expected = dataset["radial_1"].values, dataset["diff_1"].values[1]
    angle = IN_DEGREES[unit](radial)
    order = np.argsort(angle)
    order = order[~np.isnan(expected[order])]
    lines = path.read_text().splitlines()
    assert lines[0] == "scan_00001_range1: azimuth 170 to 190 deg"
    assert lines[1:3] == ["2-Theta Angle (Degrees)", "Intensity"]
    assert int(lines[3]) == len(lines) - 4 == len(order)
    for read in (dioptas, gsas2_chi):
        x, y = read(path)
        assert (np.diff(x) > 0).all()
        np.testing.assert_allclose(x, angle[order], rtol=1e-7)
        np.testing.assert_allclose(y, expected[order], rtol=1e-7)


@pytest.mark.parametrize(
    ("unit", "target", "label", "factor"),
    [("q_A^-1", "q [1/nm]", "Q (Inverse Nanometres)", 10.0), ("r_mm", "r_mm", "Radial Distance (mm)", 1.0)],
)
def test_chi_in_another_unit_of_fit2d_is_labelled_so_and_gsas2_refuses_it(
    unit: str, target: str, label: str, factor: float, tmp_path: Path
) -> None:
    dataset = made(unit)
    path = to_chi(dataset, tmp_path, unit=target)[1]
    assert path.read_text().splitlines()[1] == label
    np.testing.assert_allclose(dioptas(path)[0], factor * dataset["radial_2"].values, rtol=1e-7)
    with pytest.raises(Refused):
        gsas2_chi(path)


def test_no_image_name_makes_gsas2_take_two_theta_for_q(tmp_path: Path) -> None:
    dataset = made("2th_deg", frames=1)
    dataset["imagename"] = ("furnace", np.array(["faq q 3 .tif"], dtype=object))
    x, _ = gsas2_chi(to_chi(dataset, tmp_path)[1])
    np.testing.assert_allclose(x, dataset["radial_2"].values, rtol=1e-7)


@pytest.mark.parametrize("unit", ["q_A^-1", "2th_deg", "d_A"])
def test_fxye_gives_gsas2_angles_intensities_and_weights(unit: str, tmp_path: Path) -> None:
    dataset = made(unit)
    path = to_fxye(dataset, tmp_path)[2]
    radial, expected, sigma = (
        dataset[name].values if name == "radial_1" else dataset[name].values[1]
        for name in ("radial_1", "diff_1", "sigma_1")
    )
    angle = IN_DEGREES[unit](radial)
    order = np.argsort(angle)
    order = order[:-2] if unit == "d_A" else order[2:]
    x, y, weight, _ = gsas2_fxye(path)
    filled = ~np.isnan(expected[order])
    assert (~filled).sum() == 1
    np.testing.assert_allclose(x, angle[order], atol=1e-8)
    np.testing.assert_allclose(y[filled], expected[order][filled], rtol=1e-7)
    np.testing.assert_allclose(weight[filled], sigma[order][filled] ** -2, rtol=1e-6)
    assert y[~filled] == weight[~filled] == 0.0
    columns = [line.split() for line in path.read_text().splitlines()[-len(x) :]]
    assert [row[1:] for row in columns if float(row[2]) == 0.0] == [["0", "0"]]


def test_the_bank_record_holds_count_start_and_step_of_a_constant_axis(tmp_path: Path) -> None:
    dataset = made("2th_deg")
    path = to_fxye(dataset, tmp_path)[0]
    radial = 100.0 * dataset["radial_1"].values
    words = bank(path)
    assert words[:5] == ["BANK", "1", "39", "39", "CONS"]
    assert words[7:] == ["0", "0", "FXYE"]
    start, step = float(words[5]), float(words[6])
    assert start == pytest.approx(radial[2], abs=1e-6)
    x = 100.0 * gsas2_fxye(path)[0]
    np.testing.assert_allclose(start + step * np.arange(39), x, atol=39 * 1e-6)
    assert max(map(len, path.read_text().splitlines())) <= 80


def test_without_an_error_model_the_esd_is_the_root_of_the_intensity_and_said_so(tmp_path: Path) -> None:
    dataset = made("2th_deg", sigma=False)
    _, y, weight, comments = gsas2_fxye(to_fxye(dataset, tmp_path)[1])
    np.testing.assert_allclose(weight, 1.0 / y, rtol=1e-6)
    assert any("no error model" in line for line in comments)
    assert not any("no error model" in line for line in gsas2_fxye(to_fxye(made("2th_deg"), tmp_path)[1])[3])


def test_gsas2_finds_the_temperature_in_kelvin_only(tmp_path: Path) -> None:
    dataset = made("2th_deg").rename(furnace="Temp_sample")
    assert gsas2_temperature(gsas2_fxye(to_fxye(dataset, tmp_path)[2])[3]) == 312.5
    dataset["Temp_sample"].attrs["units"] = "degC"
    comments = gsas2_fxye(to_fxye(dataset, tmp_path)[2])[3]
    assert "# Temp_sample = 312.5 degC" in comments
    assert gsas2_temperature(comments) == 300.0


def test_what_cannot_be_two_theta_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for dataset, reason in ((made("r_pixel"), "tilt"), (made("q_nm^-1", poni=""), "wavelength")):
        for export in (to_fxye, to_chi):
            with pytest.raises(ValueError, match=reason):
                export(dataset, tmp_path / "none")
    with pytest.raises(ValueError, match="one of FIT2D's units: 2th_deg"):
        to_chi(made(), tmp_path / "none", unit="q_A^-1")
    assert not (tmp_path / "none").exists()


def test_a_frame_that_fills_no_bin_gives_no_file_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = made(frames=2, ranges=1)
    dataset["diff_1"][1] = np.nan
    for export in (to_xy, to_chi, to_fxye):
        caplog.clear()
        assert len(export(dataset, tmp_path)) == 1
        assert "scan_00001_range1" in caplog.text


def test_names_that_are_not_ascii_stop_no_reader(tmp_path: Path) -> None:
    dataset = made("2th_deg", frames=1)
    dataset["imagename"] = ("furnace", np.array(["Prüfling_7.tif"], dtype=object))
    assert to_xy(dataset, tmp_path)[0].name == "Prüfling_7_range1.xy"
    assert len(gsas2_chi(to_chi(dataset, tmp_path)[0])[0]) == 38
    assert len(gsas2_fxye(to_fxye(dataset, tmp_path)[0])[0]) == 39


@pytest.mark.parametrize(
    ("imagename", "stem"),
    [("0b1c9c3e/det_image/12", "scan7_00012"), ("0b1c9c3e/det_image/12[3]", "scan7_00012_00003"), ("a_7.tif", "a_7")],
)
def test_images_in_no_file_are_called_by_scan_and_number(imagename: str, stem: str, tmp_path: Path) -> None:
    dataset = made(ranges=1, frames=1)
    dataset["imagename"] = ("furnace", np.array([imagename]))
    assert to_xy(dataset, tmp_path)[0].name == f"{stem}_range1.xy"
    del dataset.attrs["raw_scan_id"]
    assert to_xy(dataset, tmp_path)[0].name == stem.replace("scan7", "frame") + "_range1.xy"


def test_frames_without_names_are_numbered(tmp_path: Path) -> None:
    written = to_xy(made(dim="frame", ranges=1, frames=2).drop_vars("imagename"), tmp_path)
    assert [path.name for path in written] == ["scan7_00000_range1.xy", "scan7_00001_range1.xy"]


def test_dioptas_own_reader_reads_xy_and_chi(tmp_path: Path) -> None:
    pattern = pytest.importorskip("xypattern").Pattern
    dataset = made()
    for path in (to_xy(dataset, tmp_path)[0], to_chi(dataset, tmp_path)[0]):
        x, y = pattern.from_file(str(path)).data
        np.testing.assert_array_equal(x, dioptas(path)[0])
        np.testing.assert_array_equal(y, dioptas(path)[1])


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> xarray.Dataset:
    """A simulated scan, reduced with errors."""
    return reduced(tmp_path_factory.mktemp("scan"), num=2, error_model="poisson", diff_units="q [1/A]")


def test_a_reduced_scan_comes_out_with_its_peak_at_the_same_angle(scan: xarray.Dataset, tmp_path: Path) -> None:
    x, y, weight, _ = gsas2_fxye(to_fxye(scan, tmp_path)[0])
    top = np.nanargmax(scan["diff_1"].values[0])
    assert x[y.argmax()] == pytest.approx(two_theta(scan["radial_1"].values[top], 0.31e-10), abs=1e-7)
    assert weight[y.argmax()] == pytest.approx(scan["sigma_1"].values[0, top] ** -2, rel=1e-6)
    assert gsas2_chi(to_chi(scan, tmp_path)[0])[0][0] == pytest.approx(x[0], abs=1e-6)
