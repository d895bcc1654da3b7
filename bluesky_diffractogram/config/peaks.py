"""What is set for the peak search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from .errors import ConfigError
from .values import integer, one_of, optional, real

Method = Literal["default", "lavue", "lavue-simple"]


class PeaksConfig(BaseModel):
    """The ``peaks`` of a configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Annotated[Method, BeforeValidator(one_of("default", "lavue", "lavue-simple"))] = Field(
        default="default",
        description="The finder: scipy's find_peaks on the curve's own noise, lavue's spline finder, or "
        "lavue's greedy fallback.",
    )
    max_peaks: Annotated[int, BeforeValidator(integer(1, 1000))] = Field(
        default=20, description="How many peaks are kept, the strongest."
    )
    min_snr: Annotated[float, BeforeValidator(real("a number above 0", 0.0, above=True))] = Field(
        default=5.0, description="The least prominence of a peak, in units of the curve's noise."
    )
    fit: Annotated[Literal["pseudo-voigt"] | None, BeforeValidator(optional(one_of("pseudo-voigt")))] = Field(
        default=None,
        description="What the peaks are fitted with, pseudo-voigt on a linear background, for figures with standard "
        "uncertainties; null for not at all.",
    )
    min_fwhm_bins: Annotated[
        float | None, BeforeValidator(optional(real("a number of bins above 0", 0.0, above=True)))
    ] = Field(default=None, description="The least full width at half maximum of a peak, in bins.")


def check_peaks(value: Any, info: ValidationInfo) -> Any:
    """Null and false are no peak search, true is the default one; the rest is the model's to check."""
    if value is None or value is False:
        return None
    if value is True:
        return PeaksConfig()
    if not isinstance(value, (dict, PeaksConfig)):
        keys = ", ".join(PeaksConfig.model_fields)
        raise ConfigError("peaks", value, f"a mapping with any of {keys}; true; false or null for no peak search")
    return value
