"""A simulated powder beamline; imports ophyd and bluesky when its modules are."""
