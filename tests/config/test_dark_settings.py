# ruff: noqa: E501 (messages are kept whole)
"""What `dark` may be: an image, or which events of a run bring its darks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bluesky_diffractogram.config import (
    ConfigError,
    DarkConfig,
    alters_stream,
    configuration,
    configuration_json,
    empties_buffers,
    load_config,
    same_meaning,
    update_config,
)

EXAMPLES = '{"stream": "dark"} or {"key": "shutter", "value": "closed"}'


@pytest.mark.parametrize(
    "given",
    [
        {"stream": "dark"},
        {"stream": "dark", "image_key": "det_image", "optional": True},
        {"key": "shutter", "value": "closed"},
        {"key": "shutter_open", "value": 0},
        {"key": "shutter_open", "value": False, "optional": True},
    ],
    ids=str,
)
def test_what_is_given_comes_back(poni: Path, given: dict) -> None:
    config = load_config({"calibration": poni, "dark": given})
    assert config.dark == config.dark_of_run == DarkConfig(**given)
    assert configuration(config)["dark"] == given
    assert type(configuration(config)["dark"].get("value")) is type(given.get("value"))
    written = json.dumps(configuration_json(config, lambda key, array: ""))
    assert load_config(written) == config


def test_numpys_numbers_are_numbers(poni: Path) -> None:
    config = load_config({"calibration": poni, "dark": {"key": "open", "value": np.int64(0)}})
    assert config.dark_of_run is not None
    assert type(config.dark_of_run.value) is int


def test_an_image_is_an_image_still(poni: Path) -> None:
    config = load_config({"calibration": poni, "dark": [[1, 2], [3, 4]]})
    assert config.dark_of_run is None
    np.testing.assert_array_equal(config.dark, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strem": "dark"}, "dark.strem = 'dark': unknown key; allowed: dark.stream, the nearest known key"),
        ({}, f"dark.stream = None: allowed: one of stream and key: a mapping such as {EXAMPLES}"),
        ({"stream": "a", "key": "b", "value": 1}, f"dark.stream = 'a': allowed: one of stream and key: a mapping such as {EXAMPLES}"),
        ({"key": "shutter"}, "dark.value = None: it is missing; allowed: what the reading 'shutter' is in the event of a dark"),
        ({"stream": "dark", "value": 0}, "dark.value = 0: allowed: null, without key: all images of a stream of darks are darks"),
        ({"key": "a", "value": 0, "image_key": "b"}, "dark.image_key = 'b': allowed: null, with key: darks are under the images' own data key"),
        ({"key": "a", "value": [1]}, "dark.value = [1]: allowed: a text, a number, true or false, or null"),
        ({"key": "a", "value": float("nan")}, "dark.value = nan: allowed: a text, a number, true or false, or null"),
        ({"stream": ""}, "dark.stream = '': allowed: a name, or null"),
        ({"stream": "dark", "optional": "no"}, "dark.optional = 'no': allowed: true or false"),
        (
            {"stream": "primary"},
            "dark.stream = 'primary': darks among them are told by a reading: key and value; allowed: another stream than 'primary', which is that of the images",
        ),
        (3, f"dark = 3: its shape is (); allowed: the path of an image file, or a two-dimensional array of numbers, or a mapping such as {EXAMPLES}, or null"),
    ],
    ids=str,
)  # fmt: skip
def test_an_error_names_the_key_the_value_and_what_is_allowed(poni: Path, given: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"calibration": poni, "dark": given})
    assert str(caught.value) == message


def test_it_is_replaced_as_a_whole_and_alters_what_a_dark_alters(poni: Path) -> None:
    old = load_config({"calibration": poni, "dark": {"stream": "dark", "optional": True}})
    new = update_config(old, {"dark": {"key": "shutter", "value": "closed"}})
    assert new.dark == DarkConfig(key="shutter", value="closed")
    assert alters_stream(old, new)
    assert empties_buffers(old, new)
    assert update_config(new, {"dark": None}).dark is None
    documents = [configuration_json(config, lambda key, array: "") for config in (old, new)]
    assert same_meaning(documents[0], documents[0])
    assert not same_meaning(*documents)
    assert not same_meaning(documents[0], {**documents[0], "dark": "/where/ever.npy"})
