"""How the pixels of a bin are averaged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from .errors import ConfigError
from .values import as_list, as_real, integer, one_of, real

Average = Literal["mean", "median", "sigma-clip"]
AVERAGES = ("mean", "median", "sigma-clip")


def _percentile(value: Any, info: ValidationInfo) -> float | tuple[float, float]:
    """One percentile, or the two between which values are averaged."""
    parts = as_list(value)
    numbers = [as_real(part) for part in ([value] if parts is None else parts)]
    kept = [number for number in numbers if number is not None and 0.0 <= number <= 100.0]
    if len(kept) == len(numbers) == 1:
        return kept[0]
    if len(kept) == len(numbers) == 2 and kept[0] < kept[1]:
        return kept[0], kept[1]
    raise ConfigError("percentile", value, "a number from 0 to 100, or two of them, the lower one first")


class StatisticConfig(BaseModel):
    """The ``statistic`` of a configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Annotated[Average, BeforeValidator(one_of(*AVERAGES))] = Field(
        default="mean",
        description="mean; median, pyFAI's filter along each bin; or sigma-clip, the mean without what is far from it.",
    )
    percentile: Annotated[float | tuple[float, float], BeforeValidator(_percentile)] = Field(
        default=50.0, description="Of median: which percentile, or the two between which pixels are averaged."
    )
    thres: Annotated[float, BeforeValidator(real("a number above 0", 0.0, above=True))] = Field(
        default=5.0, description="Of sigma-clip: how many standard deviations from the mean a pixel may lie."
    )
    max_iter: Annotated[int, BeforeValidator(integer(1, 1000))] = Field(
        default=5, description="Of sigma-clip: how often at most pixels are left out."
    )


def check_statistic(value: Any) -> Any:
    """The word alone is the method with its defaults; the rest is the model's to check."""
    if value is None:
        return StatisticConfig()
    if isinstance(value, str):
        word = value.strip().lower()
        if word in AVERAGES:
            return {"method": word}
    elif isinstance(value, (dict, StatisticConfig)):
        return value
    words = ", ".join(repr(word) for word in AVERAGES)
    keys = ", ".join(StatisticConfig.model_fields)
    raise ConfigError("statistic", value, f"{words}, or a mapping with any of {keys}")
