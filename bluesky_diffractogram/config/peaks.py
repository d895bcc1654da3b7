"""What is set for the peak search."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .errors import ConfigError
from .tracked import TrackedPeak, TrackedPhase, check_names, entries
from .values import integer, one_of, optional, real

AUTOMATIC = 5
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
    max_fwhm_bins: Annotated[
        float | None, BeforeValidator(optional(real("a number of bins above 0", 0.0, above=True)))
    ] = Field(
        default=None,
        description="The largest full width at half maximum of a peak, in bins: wider ones, as halos of glass, are "
        "left out.",
    )

    track: Annotated[tuple[TrackedPeak, ...] | None, BeforeValidator(entries)] = Field(
        default=None,
        description="The peaks that are followed, each with name, near, within and perhaps unit; or auto for the five "
        "strongest.",
    )
    phases: Annotated[tuple[TrackedPhase, ...] | None, BeforeValidator(entries)] = Field(
        default=None,
        description="Phases whose lines are followed, each with name and calibrant or spacings, and perhaps most, "
        "within.",
    )
    auto: Annotated[int, BeforeValidator(integer(0, 100))] = Field(
        default=0, description="How many peaks are followed besides as p1, p2, ..., the strongest when first seen."
    )

    @model_validator(mode="after")
    def _widths(self) -> Self:
        narrowest, widest = self.min_fwhm_bins, self.max_fwhm_bins
        if narrowest is not None and widest is not None and widest < narrowest:
            raise ConfigError("max_fwhm_bins", widest, f"at least min_fwhm_bins, which is {narrowest:g}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _automatic(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("track"), str) and value["track"].lower() == "auto":
            return {"auto": AUTOMATIC, **value, "track": None}
        return value

    @model_validator(mode="after")
    def _different_names(self) -> PeaksConfig:
        check_names(self.track, self.phases)
        return self

    @property
    def tracked(self) -> bool:
        """Whether peaks are followed by name."""
        return bool(self.track or self.phases or self.auto)
