"""A furnace that is at its temperature at once."""

from __future__ import annotations

from typing import Any

from ophyd import SoftPositioner


class Furnace(SoftPositioner):
    """A positioner whose position is a temperature.

    Parameters
    ----------
    name
        As of any ophyd device; also its only data key, hinted as a scan's dimension.
    temperature
        Where it starts, in K.
    """

    def __init__(self, name: str = "furnace", *, temperature: float = 300.0) -> None:
        super().__init__(name=name, init_pos=float(temperature), egu="K")

    @property
    def hints(self) -> dict[str, Any]:
        """The temperature is what plots have on their axis."""
        return {"fields": [self.name]}

    def describe(self) -> dict[str, Any]:
        """The temperature's data key."""
        key = {
            "source": f"SIM:{self.name}",
            "dtype": "number",
            "dtype_numpy": "<f8",
            "shape": [],
            "units": self.egu,
        }
        return {self.name: key}
