"""Darks that are taken in the run itself: which of its events they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from .errors import ConfigError
from .files import image
from .values import as_real, boolean, key_of, name, optional

Bool = Annotated[bool, BeforeValidator(boolean)]
Name = Annotated[str | None, BeforeValidator(optional(name))]

ALLOWED = 'a mapping such as {"stream": "dark"} or {"key": "shutter", "value": "closed"}'


def _reading(value: Any, info: ValidationInfo) -> bool | int | float | str:
    """What a scalar reading may be."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ConfigError(key_of(info), value, "a text that can be written") from None
        return value
    if isinstance(value, bool) or as_real(value) is not None:
        return value if isinstance(value, (bool, int)) else float(value)
    raise ConfigError(key_of(info), value, "a text, a number, true or false")


Reading = Annotated[bool | int | float | str | None, BeforeValidator(optional(_reading))]


class DarkConfig(BaseModel):
    """The ``dark`` of a configuration, where it is taken in the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stream: Name = Field(default=None, description="The stream whose images are darks.")
    image_key: Name = Field(
        default=None, description="The data key of the darks in that stream; null is that of the images."
    )
    key: Name = Field(
        default=None,
        description="The reading that tells darks among the images' own events; it may be in their configuration.",
    )
    value: Reading = Field(default=None, description="What that reading is in the event of a dark.")
    optional: Bool = Field(
        default=False, description="Whether frames before the first dark are reduced without; if not, they are skipped."
    )

    @model_validator(mode="after")
    def _one_source(self) -> DarkConfig:
        if (self.stream is None) == (self.key is None):
            raise ConfigError("stream", self.stream, f"one of stream and key: {ALLOWED}")
        if (self.key is None) != (self.value is None):
            if self.key is None:
                raise ConfigError("value", self.value, "null, without key: all images of a stream of darks are darks")
            raise ConfigError(
                "value", None, f"what the reading {self.key!r} is in the event of a dark", "it is missing"
            )
        if self.image_key is not None and self.stream is None:
            raise ConfigError("image_key", self.image_key, "null, with key: darks are under the images' own data key")
        return self

    def same_source(self, other: DarkConfig) -> bool:
        """Whether the same events are darks for both."""
        return self.model_copy(update={"optional": other.optional}) == other

    @property
    def meaning(self) -> str:
        """Which events are darks, in words."""
        if self.stream is not None:
            return f"an event of the stream {self.stream!r}"
        return f"an event whose {self.key!r} is {self.value!r}"


def check_dark(value: Any, info: ValidationInfo) -> Any:
    """A mapping is the model's to check; anything else is an image."""
    if isinstance(value, DarkConfig):
        return value
    if isinstance(value, Mapping):
        return DarkConfig.model_validate(dict(value))
    try:
        return image(value, info)
    except ConfigError as error:
        raise ConfigError(error.key, error.value, f"{error.allowed}, or {ALLOWED}", error.reason) from None
