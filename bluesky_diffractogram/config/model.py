"""The configuration: what users write, checked once."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from . import files, keys, values
from .cake import CakeConfig
from .changes import same
from .consistency import check_together
from .dark import DarkConfig, check_dark
from .merge import MergedDetector, entries
from .moving import GeometryConfig, check_geometry
from .peaks import PeaksConfig
from .quantities import HC
from .ranges import DiffractogramRange, parse_range
from .statistic import StatisticConfig, check_statistic
from .units import RadialUnit, parse_unit

Bool = Annotated[bool, BeforeValidator(values.boolean)]
Count = Annotated[int, BeforeValidator(values.integer(1))]
Name = Annotated[str | None, BeforeValidator(values.optional(values.name))]
Names = Annotated[tuple[str, ...] | None, BeforeValidator(values.optional(values.names))]
Image = Annotated[str | np.ndarray | None, BeforeValidator(values.optional(files.image))]
Limit = int | float | None
Pair = tuple[float | None, float | None]


def _real(allowed: str, *limits: float) -> BeforeValidator:
    return BeforeValidator(values.optional(values.real(allowed, *limits)))


def _one_of(*words: str, note: str = "") -> BeforeValidator:
    return BeforeValidator(values.one_of(*words, note=note))


class DiffractogramConfig(BaseModel):
    """A whole configuration, valid and never changing.

    Make it with `load_config`, whose errors name the key, the value and what is allowed. Two configurations
    are equal when all their settings are, arrays by shape, type and numbers. Arrays in it are read-only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    # lavue's
    calibration: Annotated[str, BeforeValidator(files.calibration)] = Field(
        description="The geometry file, a PONI file of version 1, 2 or 2.1."
    )
    diff_ranges: Annotated[
        tuple[tuple[Limit, Limit, Limit, Limit] | None, ...],
        BeforeValidator(keys.diff_ranges),
    ] = Field(
        default=(),
        description="The ranges: azimuth start and end in degrees, radial start and end in range_unit; null "
        "for a limit is none, null for a range is the whole detector.",
    )
    # validate_default: the default follows from diff_ranges, which stands before it for that
    diff_number: int = Field(
        default=None,
        validate_default=True,
        description="How many ranges are active; the number of diff_ranges, else 1. Missing ones are the "
        "whole detector.",
    )
    diff_units: Annotated[str, BeforeValidator(keys.diff_units)] = Field(
        default="q [1/nm]", description="The unit of the radial axis."
    )
    buffer_size: Count = Field(default=1024, description="How many diffractograms each buffer keeps.")
    buffering: Bool = Field(default=True, description="Whether the heat-map is shown.")
    collect: Bool = Field(default=True, description="Whether diffractograms go into the buffers.")
    show_diff: Bool = Field(default=True, description="Whether every frame is reduced; if not, one at each `next`.")
    main_plot: Annotated[str, BeforeValidator(keys.main_plot)] = Field(
        default="image", description="What the main panel shows: image, cake, or buffer 1, buffer 2, ..."
    )
    # integration
    npt: Annotated[int | tuple[int, ...], BeforeValidator(keys.npt)] = Field(
        default=1000, description="Bins of a diffractogram; one number, or one for each range."
    )
    range_unit: Annotated[str, BeforeValidator(keys.range_unit)] = Field(
        default="2th_deg",
        description="The unit of the radial limits in diff_ranges; 'same' is that of diff_units.",
    )
    correct_solid_angle: Bool = Field(default=True, description="Whether the pixels' solid angle is corrected for.")
    polarization_factor: Annotated[float | None, _real("a number from -1 to 1", -1, 1)] = Field(
        default=None,
        description="The beam's polarization as pyFAI defines it, -1 to 1; null is no correction.",
    )
    error_model: Annotated[str | None, BeforeValidator(values.optional(values.one_of("poisson", "azimuthal")))] = Field(
        default=None, description="How uncertainties are estimated: poisson, azimuthal, or not at all."
    )
    method: Annotated[str | tuple[Any, ...], BeforeValidator(keys.method)] = Field(
        default="bbox", description="Pixel splitting: no, bbox or full; or a full pyFAI method."
    )
    statistic: Annotated[StatisticConfig, BeforeValidator(check_statistic)] = Field(
        default=StatisticConfig(), description="How the pixels of a bin are averaged: mean, median or sigma-clip."
    )
    wavelength: Annotated[float | None, _real("metres from 1e-13 to 1e-7 (1 Å is 1e-10)", 1e-13, 1e-7)] = Field(
        default=None, description="The wavelength in m, instead of the calibration's."
    )
    energy: Annotated[float | None, _real("keV from 0.1 to 1000", 0.1, 1000)] = Field(
        default=None, description="The photon energy in keV, instead of the calibration's wavelength."
    )
    geometry: Annotated[GeometryConfig | None, BeforeValidator(check_geometry)] = Field(
        default=None, description="Which readings tell the geometry of each frame; null: it is the calibration's."
    )
    normalization: Name = Field(default=None, description="The data key of a monitor that divides each diffractogram.")
    # pixels
    transformation: Annotated[str, _one_of(*keys.TRANSFORMATIONS)] = Field(
        default="none", description="What is done to frame, mask, dark and flat before the integration."
    )
    mask: Image = Field(default=None, description="Mask: a file or an array; non-zero is masked.")
    dark: Annotated[str | np.ndarray | DarkConfig | None, BeforeValidator(values.optional(check_dark))] = Field(
        default=None,
        description="Dark image, subtracted: a file or an array, or which events of a run bring its darks.",
    )
    flat: Image = Field(default=None, description="Flat image, divided by: a file or an array.")
    background: Image = Field(default=None, description="Background image, scaled and subtracted: a file or an array.")
    background_curve: Image = Field(
        default=None, description="Background curve, scaled and subtracted: a file or an array with two columns."
    )
    background_unit: Annotated[str | None, BeforeValidator(values.optional(keys.curve_unit))] = Field(
        default=None, description="The unit of the curve's radial values."
    )
    background_scale: Annotated[float, BeforeValidator(values.real("a number"))] = Field(
        default=1.0, description="What background and background_curve are multiplied with."
    )
    absorption: Image = Field(
        default=None, description="Transmission of the sample towards each pixel, divided by: a file or an array."
    )
    mask_transformed: Bool = Field(default=False, description="Whether the mask was drawn on the transformed image.")
    mask_invalid: Bool = Field(
        default=True, description="Whether pixels that the detector marks as invalid are masked."
    )
    dummy: Annotated[float | None, _real("a number")] = Field(
        default=None, description="Pixels of this raw value are masked."
    )
    delta_dummy: Annotated[float | None, _real("a number of at least 0", 0.0)] = Field(
        default=None, description="How far from dummy a raw value may be and still be masked."
    )
    valid_range: Annotated[Pair | None, BeforeValidator(keys.valid_range)] = Field(
        default=None, description="The least and the greatest valid raw value; pixels outside are masked."
    )
    detector_shape: Annotated[tuple[int, int] | None, BeforeValidator(values.optional(keys.detector_shape))] = Field(
        default=None, description="The detector's rows and columns, where the calibration does not say."
    )
    binning: Annotated[tuple[int, int] | None, BeforeValidator(values.optional(keys.binning))] = Field(
        default=None, description="How many detector pixels make one of the frame's; found if not given."
    )
    # further detectors
    merge: Annotated[tuple[MergedDetector, ...], BeforeValidator(entries)] = Field(
        default=(),
        description="Further detectors of the same events, each with image_key, calibration and what else is its own; "
        "merged with the first into one curve.",
    )
    # frames
    image_key: Name = Field(default=None, description="The data key that holds the image; found if not given.")
    stream: Annotated[str, BeforeValidator(values.name)] = Field(default="primary", description="The image's stream.")
    frames_per_event: Annotated[str, _one_of("each", "mean", "sum")] = Field(
        default="each",
        description="What becomes of an event with several frames: one result for each, their mean or sum.",
    )
    cake: Annotated[CakeConfig | None, BeforeValidator(values.switch(CakeConfig, "none"))] = Field(
        default=None, description="Whether and how frames are regrouped by radial value and azimuth."
    )
    count: Bool = Field(default=False, description="Whether events say how many pixels reach each bin.")
    carry: Names = Field(
        default=None,
        description="Scalar data keys copied into the derived events; the hinted dimensions if null.",
    )
    queue_size: Count = Field(default=16, description="How many frames in memory may wait for the reduction.")
    when_full: Annotated[str, _one_of("block", "drop_oldest", "latest")] = Field(
        default="block",
        description="What happens when that many wait: the scan waits, or frames are dropped.",
    )
    reset_on_start: Bool = Field(default=False, description="Whether the buffers are emptied at the start of each run.")
    # results
    peaks: Annotated[PeaksConfig | None, BeforeValidator(values.switch(PeaksConfig, "no peak search"))] = Field(
        default=PeaksConfig(), description="How peaks are searched; false for not at all."
    )
    hinted: Names = Field(
        default=None,
        description="Scalars of the derived events that are hinted; if null, the peak position of ranges 1 and 2.",
    )
    colors: Annotated[tuple[str | tuple[int, ...], ...] | None, BeforeValidator(keys.colors)] = Field(
        default=None, description="Colours of the ranges, used cyclically; matplotlib's cycle if null."
    )
    assets_dir: Annotated[str | None, BeforeValidator(values.optional(files.any_path))] = Field(
        default=None, description="The folder where arrays given in the configuration are kept."
    )

    _ranges: tuple[DiffractogramRange, ...] = PrivateAttr(())

    @field_validator("diff_number", mode="before")
    @classmethod
    def _follow_the_ranges(cls, value: Any, info: ValidationInfo) -> int:
        if value is None:
            return max(1, len(info.data.get("diff_ranges", ())))
        return values.integer(1, 100_000)(value, info)

    @model_validator(mode="after")
    def _derive(self) -> DiffractogramConfig:
        written = [parse_range(entry, number) for number, entry in enumerate(self.diff_ranges, 1)]
        missing = [DiffractogramRange(number) for number in range(len(written) + 1, self.diff_number + 1)]
        self._ranges = (*written, *missing)[: self.diff_number]
        check_together(self)
        return self

    @property
    def unit(self) -> RadialUnit:
        """The unit of the radial axis."""
        return parse_unit(self.diff_units)

    @property
    def radial_limit_unit(self) -> RadialUnit | None:
        """The unit of the radial limits in `ranges`; None is that of the axis."""
        return None if self.range_unit == "same" else parse_unit(self.range_unit)

    @property
    def ranges(self) -> tuple[DiffractogramRange, ...]:
        """The ``diff_number`` active ranges."""
        return self._ranges

    @property
    def npts(self) -> tuple[int, ...]:
        """How many bins each active range has."""
        if isinstance(self.npt, int):
            return (self.npt,) * self.diff_number
        return self.npt[: self.diff_number]

    @property
    def dark_of_run(self) -> DarkConfig | None:
        """Which events of a run bring its darks; None where they do not come with it."""
        return self.dark if isinstance(self.dark, DarkConfig) else None

    @property
    def moves(self) -> bool:
        """Whether readings tell where any detector is."""
        return self.geometry is not None or any(each.geometry is not None for each in self.merge)

    @property
    def split_method(self) -> tuple[Any, ...]:
        """pyFAI's method, ``(splitting, algorithm, implementation)`` and perhaps a device."""
        return (self.method, "csr", "cython") if isinstance(self.method, str) else self.method

    @property
    def wavelength_m(self) -> float | None:
        """The wavelength that is set, in m, by ``wavelength`` or by ``energy``; None if neither is."""
        if self.wavelength is None and self.energy is not None:
            return HC / self.energy * 1e-10
        return self.wavelength

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DiffractogramConfig):
            return NotImplemented
        return all(same(getattr(self, key), getattr(other, key)) for key in type(self).model_fields)

    def __hash__(self) -> int:
        return hash((self.calibration, self.diff_number, self.diff_ranges, self.diff_units, self.npt))
