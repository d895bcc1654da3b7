"""The demonstration: a simulated scan, and everything that is made of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig, configuration, load_config, parse_unit, update_config
from ..reduction.conversion import convert_limit
from ..reduction.opening import open_geometry
from ..sim.beamline import SimulatedBeamline, simulated_beamline
from ..sim.scan import heating_scan
from .derived_files import DOCUMENTS, PICTURE
from .findings import Findings
from .jsonlines import JsonLines

CONFIGURATION = "configuration.json"

# What the demonstration cannot do without, or what would be of another beamline.
FIXED = ("calibration", "carry", "image_key", "merge", "stream", "show_diff", "stop_diff")


class Demonstration:
    """A simulated beamline, and a callback that reduces what is scanned there.

    Parameters
    ----------
    folder
        Gets calibration, mask, configuration, the derived run and the picture; made if it is not there.
    settings
        What replaces the demonstration's own settings, but for calibration, carry and the like.
    base
        The folder that paths in `settings` are relative to.
    window
        Whether a window is opened where there is a display.
    log
        Whether heat-maps and curves are logarithmic.
    detector
        ``"pilatus"`` or ``"small"``, see `simulated_beamline`.

    Attributes
    ----------
    configuration, documents, picture
        Paths of the files.
    findings
        What was found.
    figure
        The `DiffractogramFigure`.
    window
        Whether it has a window.

    Raises
    ------
    ConfigError
        `settings` cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        base: Path | None = None,
        window: bool = True,
        log: bool = False,
        detector: str = "pilatus",
    ) -> None:
        if not window:
            os.environ["MPLBACKEND"] = "agg"  # read by matplotlib when it is first imported
        from ..live import DiffractogramCallback
        from ..views import DiffractogramFigure, display_available

        self.beamline = simulated_beamline(folder, detector=detector)  # type: ignore[arg-type]
        chosen = {key: value for key, value in settings.items() if key not in FIXED}
        config = update_config(load_config(self.beamline.configuration), chosen, base=base)
        self._positions = line_positions(self.beamline, config)
        self.configuration = folder / CONFIGURATION
        self.documents, self.picture = folder / DOCUMENTS, folder / PICTURE
        self.window = window and display_available()
        self.figure = DiffractogramFigure(scale="log" if log else "linear", images=self.window)
        self.findings = Findings(self._positions, self.beamline.furnace.name)
        self._callback = DiffractogramCallback(config, plot=self.figure)
        self._callback.subscribe(self.findings)
        self._lines = JsonLines(self.documents)
        self._callback.subscribe(self._lines)
        _write_configuration(self.configuration, configuration(config))

    def run(self, frames: int, advance: Callable[[], Any]) -> bool:
        """Scan, wait until everything is reduced, and write the files.

        Parameters
        ----------
        frames
            How many.
        advance
            Called after each reduced frame, on the reduction's thread.

        Returns
        -------
        bool
            False if the scan was interrupted; what was measured is reduced and written nevertheless.
        """
        from bluesky import RunEngine
        from bluesky.utils import RunEngineInterrupted

        from ..views import KeepWindowsAlive

        self._callback.subscribe(lambda name, _: advance() if name == "event" else None)
        meanwhile: dict[str, Any] = {}
        if self.window:
            self.figure.show()
            meanwhile = {"during_task": KeepWindowsAlive()}
        engine = RunEngine({}, **meanwhile)
        engine.subscribe(self._callback)
        finished = True
        try:
            engine(heating_scan(self.beamline.detector, self.beamline.furnace, num=frames))
        except RunEngineInterrupted:
            engine.abort("interrupted")
            finished = False
        self._callback.wait()
        self._callback.close()
        self._lines.close()
        self.figure.save(self.picture, dpi=150)
        return finished


def line_positions(
    beamline: SimulatedBeamline, config: DiffractogramConfig
) -> Callable[[int, float], NDArray[np.float64]]:
    """Where the sample's lines are in the configured unit.

    Returns
    -------
    callable
        Gives ``(n_lines,)`` positions for the number of a range and a temperature in K.
    """
    geometry, degrees, unit = open_geometry(config), parse_unit("2th_deg"), config.unit
    arcs = {wanted.number: wanted.arc for wanted in config.ranges}

    def positions(number: int, temperature: float) -> NDArray[np.float64]:
        lines = beamline.two_theta(temperature)
        return np.array([convert_limit(float(at), degrees, unit, arcs[number], geometry) for at in lines])

    return positions


def _write_configuration(path: Path, settings: dict[str, Any]) -> None:
    """Write the settings as JSON, with file names relative to it where they are in the same folder."""
    shown = {}
    for key, value in settings.items():
        if isinstance(value, np.ndarray):
            value = value.tolist()
        elif isinstance(value, str) and Path(value).parent == path.parent.absolute():
            value = Path(value).name
        shown[key] = value
    path.write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")
