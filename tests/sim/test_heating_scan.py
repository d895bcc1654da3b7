"""The scan of the simulated beamline, by a real RunEngine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bluesky import RunEngine
from event_model import DocumentNames, schema_validators

from bluesky_diffractogram.sim.beamline import simulated_beamline
from bluesky_diffractogram.sim.scan import heating_scan


def test_its_documents_are_valid_and_hold_the_frames(tmp_path: Path) -> None:
    beamline = simulated_beamline(tmp_path, detector="small")
    documents: list[tuple[str, dict[str, Any]]] = []
    engine = RunEngine({}, call_returns_result=True)
    engine.subscribe(lambda name, doc: documents.append((name, doc)))
    result = engine(heating_scan(beamline.detector, beamline.furnace, 300, 1500, 5, md={"operator": "nobody"}))

    assert [name for name, _ in documents] == ["start", "descriptor", *["event"] * 5, "stop"]
    for name, doc in documents:
        schema_validators[DocumentNames[name]].validate(doc)
    start, descriptor, stop = documents[0][1], documents[1][1], documents[-1][1]
    assert start["plan_name"] == "heating_scan"
    assert start["sample"] == "iron powder with CeO2"
    assert start["operator"] == "nobody"
    assert start["hints"]["dimensions"] == [(["furnace"], "primary")]
    assert stop["exit_status"] == "success"
    assert stop["num_events"] == {"primary": 5}
    assert result.plan_result == start["uid"]
    key = descriptor["data_keys"]["detector_image"]
    for number, (_, event) in enumerate(documents[2:-1], 1):
        temperature = 300.0 + 300.0 * (number - 1)
        image = event["data"]["detector_image"]
        assert event["data"]["furnace"] == temperature
        assert list(image.shape) == key["shape"]
        assert image.dtype.str == key["dtype_numpy"]
        np.testing.assert_array_equal(image, beamline.detector.frames.frame(number, temperature))
