"""What is set for further detectors of the same events, whose frames are merged with those of the first one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from . import files, keys, values
from .changes import same
from .errors import ConfigError
from .moving import GeometryConfig, check_geometry

if TYPE_CHECKING:
    from .model import DiffractogramConfig

Bool = Annotated[bool, BeforeValidator(values.boolean)]
Image = Annotated[str | np.ndarray | None, BeforeValidator(values.optional(files.image))]
Shape = tuple[int, int] | None
Number = float | None
Pair = tuple[float | None, float | None] | None

NOT_ALONE = ("scale", "optional")
"""What is said of a detector among others."""

ARRAYS = ("mask", "dark", "flat", "background", "absorption")


class MergedDetector(BaseModel):
    """One further detector, an entry of ``merge``: what is a detector's own, with the same defaults as for the first.

    Two are equal when all their settings are, arrays by shape, type and numbers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    image_key: Annotated[str, BeforeValidator(values.name)] = Field(
        description="The data key that holds its image, in the same events as that of the first detector."
    )
    calibration: Annotated[str, BeforeValidator(files.calibration)] = Field(description="Its geometry file.")
    scale: Annotated[float, BeforeValidator(values.real("a number above 0", 0.0, above=True))] = Field(
        default=1.0, description="What its intensity is multiplied with, before it is merged."
    )
    transformation: Annotated[str, BeforeValidator(values.one_of(*keys.TRANSFORMATIONS))] = Field(
        default="none", description="What is done to its frame, mask, dark and flat before the integration."
    )
    mask: Image = Field(default=None, description="Its mask: a file or an array; non-zero is masked.")
    dark: Image = Field(default=None, description="Its dark image: a file or an array.")
    flat: Image = Field(default=None, description="Its flat image: a file or an array.")
    background: Image = Field(default=None, description="Its background image, scaled with background_scale.")
    absorption: Image = Field(default=None, description="Transmission of the sample towards each of its pixels.")
    mask_transformed: Bool = Field(default=False, description="Whether its mask was drawn on the transformed image.")
    mask_invalid: Bool = Field(default=True, description="Whether pixels that it marks as invalid are masked.")
    dummy: Annotated[Number, BeforeValidator(values.optional(values.real("a number")))] = Field(
        default=None, description="Its pixels of this raw value are masked."
    )
    delta_dummy: Annotated[Number, BeforeValidator(values.optional(values.real("a number of at least 0", 0.0)))] = (
        Field(default=None, description="How far from dummy a raw value may be and still be masked.")
    )
    valid_range: Annotated[Pair, BeforeValidator(keys.valid_range)] = Field(
        default=None, description="The least and the greatest valid raw value."
    )
    detector_shape: Annotated[Shape, BeforeValidator(values.optional(keys.detector_shape))] = Field(
        default=None, description="Its rows and columns; needed where the calibration does not say them."
    )
    binning: Annotated[Shape, BeforeValidator(values.optional(keys.binning))] = Field(
        default=None, description="How many detector pixels make one of its frame's."
    )
    geometry: Annotated[GeometryConfig | None, BeforeValidator(check_geometry)] = Field(
        default=None, description="Which readings tell where it is; null: where the calibration says."
    )
    optional: Bool = Field(
        default=False,
        description="Whether events without a usable image of it are reduced from the others, and not skipped.",
    )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MergedDetector):
            return NotImplemented
        return all(same(getattr(self, key), getattr(other, key)) for key in type(self).model_fields)

    def __hash__(self) -> int:
        return hash((self.image_key, self.calibration, self.scale))


def entries(value: Any, info: ValidationInfo) -> Any:
    """A list of mappings, which are the model's to check; null is the empty list."""
    parts = () if value is None else values.as_list(value)
    if parts is None or not all(isinstance(part, (dict, MergedDetector)) for part in parts):
        known = ", ".join(MergedDetector.model_fields)
        raise ConfigError(values.key_of(info), value, f"a list of mappings with the keys {known}")
    return tuple(parts)


def check_merge(config: DiffractogramConfig) -> None:
    """Raise a ConfigError for what several detectors have no common answer to."""
    if not config.merge:
        return
    if config.image_key is None:
        raise ConfigError("image_key", None, "the data key of the first detector, which merge makes one of several")
    names = [config.image_key, *(each.image_key for each in config.merge)]
    for number, each in enumerate(config.merge):
        if names.count(each.image_key) > 1:
            raise ConfigError(f"merge.{number}.image_key", each.image_key, "another data key for each detector")
        told = None if each.geometry is None else each.geometry.of_wavelength
        if told is not None:
            key, reason = getattr(each.geometry, told).key, "events have one beam, which geometry tells of"
            raise ConfigError(f"merge.{number}.geometry.{told}", key, f"null; or geometry.{told}", reason)
    for key, unit in (("diff_units", config.unit), ("range_unit", config.radial_limit_unit)):
        if unit is not None and unit.name.startswith("r_"):
            raise ConfigError(key, unit.label, "units of q, 2θ or d, with merge", "r is another on each detector")
    if config.error_model == "azimuthal":
        reason = "the scatter about the mean of one detector is not that about the common mean"
        raise ConfigError("error_model", config.error_model, "'poisson' or null, with merge", reason)
    if config.statistic.method != "mean":
        reason = "the pixels of several detectors are averaged, not sorted or clipped together"
        raise ConfigError("statistic", config.statistic.method, "'mean', with merge", reason)
    if config.cake is not None:
        raise ConfigError("cake", config.cake.model_dump(), "null, with merge", "a cake is of one detector")


def plain_merge(merge: Sequence[MergedDetector], give: Callable[[str, np.ndarray], Any]) -> list[dict[str, Any]]:
    """What is set for further detectors and not a default, as JSON has it.

    Parameters
    ----------
    merge
        The entries.
    give
        What stands for an array; called with a name for it, ``merge_0_mask``, and the array.
    """
    return [_plain(entry, f"merge_{i}_", give) for i, entry in enumerate(merge)]


def _plain(entry: MergedDetector, place: str, give: Callable[[str, np.ndarray], Any]) -> dict[str, Any]:
    plain: dict[str, Any] = entry.model_dump(mode="json", exclude=set(ARRAYS), exclude_defaults=True)
    for key in ARRAYS:
        image = getattr(entry, key)
        if image is not None:
            plain[key] = give(place + key, image) if isinstance(image, np.ndarray) else image
    return plain


def as_if_alone(config: DiffractogramConfig, number: int) -> DiffractogramConfig:
    """The configuration of the further detector `number`, counted from 0, as if it was the only one.

    Ranges, units, method and what else is common are those of `config`; so is which events are darks if it has no dark
    of its own. It subtracts no ``background_curve`` and has no monitor, which are the merged curve's.
    """
    entry = config.merge[number]
    own = {key: getattr(entry, key) for key in MergedDetector.model_fields if key not in NOT_ALONE}
    if entry.dark is None and config.dark_of_run is not None:
        own["dark"] = config.dark_of_run.model_copy(update={"image_key": None})
    common = {"merge": (), "normalization": None, "background_curve": None, "background_unit": None}
    return config.model_copy(update=own | common)
