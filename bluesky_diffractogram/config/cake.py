"""What is set for the caked image: intensity against radial value and azimuth."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from .errors import ConfigError
from .ranges import ALLOWED_RANGE, DiffractogramRange, four_entries, parse_range
from .values import integer, optional

MOST_BINS = 50_000

Limit = int | float | None


def _four(value: Any, info: ValidationInfo) -> tuple[float | None, ...] | None:
    try:
        four = four_entries(value, 1)
        arc = parse_range(four, 1).arc
    except ConfigError as error:
        raise ConfigError("range", value, ALLOWED_RANGE, error.reason) from None
    if arc.wrapped:
        raise ConfigError("range", value, "an arc that does not cross 180°", "pyFAI would cut it there")
    return four


class CakeConfig(BaseModel):
    """The ``cake`` of a configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    npt_rad: Annotated[int, BeforeValidator(integer(1, MOST_BINS))] = Field(
        default=500, description="Bins along the radial axis."
    )
    npt_azim: Annotated[int, BeforeValidator(integer(1, MOST_BINS))] = Field(
        default=360, description="Bins along the azimuth."
    )
    range: Annotated[tuple[Limit, Limit, Limit, Limit] | None, BeforeValidator(optional(_four))] = Field(
        default=None, description="Its limits, written as one of diff_ranges; null is the whole detector."
    )

    @property
    def limits(self) -> DiffractogramRange:
        """The limits, as those of a range."""
        return parse_range(self.range, 1)
