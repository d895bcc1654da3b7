"""Plans as bluesky-queueserver sees them."""

from __future__ import annotations

import pytest

from bluesky_diffractogram import plans

pytest.importorskip("bluesky_queueserver")
from bluesky_queueserver.manager.profile_ops import (
    existing_plans_and_devices_from_nspace,
    prepare_plan,
    validate_plan,
)

OFFERED = [
    "calibrated_count", "collect", "configure_diffractogram", "reset_buffer", "scan_until_peak", "track_peak",
    "wait_for_reduction",
]  # fmt: skip


@pytest.fixture
def offered(steered):
    """The plans and devices of a start-up that imports what is meant for the queue, and the wrappers too."""
    names = [*OFFERED, "diffractogram_wrapper", "diffractogram_decorator", "readback_hints"]
    namespace = {name: getattr(plans, name) for name in names}
    namespace |= {"detector": steered.detector, "furnace": steered.furnace, "diffractogram": steered.device}
    existing_plans, existing_devices, *objects = existing_plans_and_devices_from_nspace(nspace=namespace)
    return existing_plans, existing_devices, objects


def test_plans_are_offered_and_wrappers_are_not(offered):
    existing_plans, existing_devices, _ = offered
    assert sorted(existing_plans) == OFFERED
    assert set(existing_devices) == {"detector", "furnace", "diffractogram"}


def test_every_parameter_is_annotated_and_described(offered):
    for name, plan in offered[0].items():
        assert plan["description"], name
        for parameter in plan["parameters"]:
            assert parameter["annotation"]["type"], (name, parameter["name"])
            assert parameter["description"], (name, parameter["name"])
            assert "Any" not in parameter["annotation"]["type"].replace("dict[str, typing.Any]", "")


ITEMS = [
    ("configure_diffractogram", ["diffractogram", {"diff_units": "q [1/A]"}], {}),
    ("collect", ["diffractogram"], {"on": False}),
    ("reset_buffer", ["diffractogram"], {}),
    ("wait_for_reduction", ["diffractogram"], {"timeout": 5}),
    ("calibrated_count", [["detector"], "diffractogram"], {"num": 2, "settings": {"npt": 90}, "md": {"a": 1}}),
    ("track_peak", [["detector"], "furnace", "diffractogram", 2, -6e-5], {"target": 5.65, "mode": "centre"}),
    (
        "scan_until_peak",
        [["detector"], "furnace", 1150, 1250, 50, "diffractogram"],
        {"range_number": 2, "until": "vanishes", "peak": 8.67, "tolerance": 0.12},
    ),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), ITEMS, ids=[item[0] for item in ITEMS])
def test_the_queue_accepts_and_runs_them(steered, offered, name, args, kwargs):
    existing_plans, existing_devices, (plans_in, devices_in) = offered
    item = {"item_type": "plan", "name": name, "args": args, "kwargs": kwargs, "user_group": "primary"}
    success, message = validate_plan(item, allowed_plans=existing_plans, allowed_devices=existing_devices)
    assert success, message
    found = prepare_plan(
        item, plans_in_nspace=plans_in, devices_in_nspace=devices_in,
        allowed_plans={"root": existing_plans, "primary": existing_plans},
        allowed_devices={"root": existing_devices, "primary": existing_devices},
        nspace={**plans_in, **devices_in},
    )  # fmt: skip
    steered.run(found["callable"](*found["args"], **found["kwargs"]))
    assert all(stop["exit_status"] == "success" for stop in steered.of("stop"))


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("scan_until_peak", [["detector"], "furnace", 0, 1, 1, "diffractogram"], {"until": "explodes"}),
        ("scan_until_peak", [["detector"], "furnace", 0, 1, 1], {}),
        ("collect", ["diffractogram"], {"on": "perhaps"}),
        ("track_peak", [["detector"], "furnace", "diffractogram", "many", 1.0], {}),
    ],
)
def test_the_queue_refuses_what_is_of_the_wrong_kind(offered, name, args, kwargs):
    existing_plans, existing_devices, _ = offered
    item = {"item_type": "plan", "name": name, "args": args, "kwargs": kwargs}
    success, _ = validate_plan(item, allowed_plans=existing_plans, allowed_devices=existing_devices)
    assert not success
