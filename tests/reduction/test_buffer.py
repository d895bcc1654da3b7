"""The buffer against a plain list, and under threads."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bluesky_diffractogram.reduction.buffer import DiffractogramBuffer

NPT = 3
KEYS = st.one_of(st.none(), st.integers(0, 6), st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3)))


class BufferIsAList(RuleBasedStateMachine):
    """Any sequence of appends, replacements and resets leaves the buffer as it leaves a list of rows."""

    @initialize(size=st.integers(1, 7))
    def start(self, size):
        self.size = size
        self.buffer = DiffractogramBuffer(size, NPT)
        self.model: list[dict] = []
        self.total = 0
        self.count = 0
        self.version = self.buffer.version

    def row(self, key, carried):
        self.count += 1
        return {
            "key": key,
            "value": np.full(NPT, float(self.count)),
            "time": 1e9 + self.count,
            "carried": carried,
        }

    def place(self, key):
        return next((i for i, row in enumerate(self.model) if key is not None and row["key"] == key), None)

    @rule(key=KEYS, carried=st.dictionaries(st.sampled_from(["T", "x"]), st.integers(-5, 5)))
    def append(self, key, carried):
        row = self.row(key, carried)
        self.buffer.append(row["value"], row["time"], key=key, carried=carried)
        at = self.place(key)
        if at is None:
            self.model = [*self.model, row][-self.size :]
            self.total += 1
        else:
            self.model[at] = row

    @precondition(lambda self: any(row["key"] is not None for row in self.model))
    @rule(data=st.data())
    def replace(self, data):
        key = data.draw(st.sampled_from([row["key"] for row in self.model if row["key"] is not None]))
        row = self.row(key, {})
        self.buffer.replace(key, row["value"], row["time"])
        self.model[self.place(key)] = row

    @rule(key=KEYS)
    def replace_what_is_not_there(self, key):
        if self.place(key) is None:
            with pytest.raises(KeyError):
                self.buffer.replace(key, np.zeros(NPT), 0.0)

    @rule()
    def reset(self):
        self.buffer.reset()
        self.model, self.total = [], 0

    @rule(n=st.integers(-1, 9))
    def last(self, n):
        expected = [row["value"] for row in self.model][-n:] if n > 0 else []
        np.testing.assert_array_equal(self.buffer.last(n), np.reshape(expected, (-1, NPT)))

    @invariant()
    def same(self):
        if not hasattr(self, "buffer"):
            return
        snapshot = self.buffer.snapshot()
        np.testing.assert_array_equal(snapshot.rows, np.reshape([row["value"] for row in self.model], (-1, NPT)))
        np.testing.assert_array_equal(self.buffer.rows, snapshot.rows)
        np.testing.assert_array_equal(snapshot.timestamps, [row["time"] for row in self.model])
        np.testing.assert_array_equal(self.buffer.timestamps, snapshot.timestamps)
        assert len(self.buffer) == len(snapshot) == len(self.model)
        assert snapshot.total == self.total
        names = {name for row in self.model for name in row["carried"]}
        assert set(snapshot.carried) == names
        for name in names:
            expected = [row["carried"].get(name, np.nan) for row in self.model]
            np.testing.assert_array_equal(snapshot.carried[name], np.array(expected, dtype=float))
            np.testing.assert_array_equal(self.buffer.carried(name), snapshot.carried[name])
        for row in self.model:
            assert row["key"] is None or row["key"] in self.buffer
        assert self.buffer.version == snapshot.version >= self.version
        self.version = snapshot.version


TestBufferIsAList = BufferIsAList.TestCase
TestBufferIsAList.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.fixture
def buffer():
    buffer = DiffractogramBuffer(4, NPT)
    for n in range(6):
        carried = {"temperature": 300.0 + 10 * n, "sample": "CeO2"} if n != 4 else {}
        buffer.append([n, n + 0.5, np.nan], 1_700_000_000.25 + n, radial=[1.0, 2.0, 3.0], key=n, carried=carried)
    return buffer


def test_every_change_has_a_version_of_its_own():
    buffer = DiffractogramBuffer(2, NPT)
    changes = [
        lambda: buffer.append(np.zeros(NPT), 0.0, key=1),
        lambda: buffer.append(np.zeros(NPT), 0.0, key=1),
        lambda: buffer.replace(1, np.zeros(NPT), 0.0),
        buffer.reset,
        lambda: buffer.append(np.zeros(NPT), 0.0),
    ]
    seen = [buffer.version]
    for change in changes:
        change()
        seen.append(buffer.version)
    assert sorted(set(seen)) == seen
    buffer.snapshot()
    assert buffer.version == seen[-1]


def test_what_is_given_and_taken_are_copies(buffer):
    row, radial = np.zeros(NPT), np.arange(3.0)
    other = DiffractogramBuffer(4, NPT, radial)
    carried = {"T": 1.0}
    other.append(row, 0.0, carried=carried)
    row[:], radial[:], carried["T"] = 9.0, 9.0, 9.0
    snapshot, rows = other.snapshot(), other.rows
    snapshot.rows[:] = 8.0
    rows[:] = 8.0
    np.testing.assert_array_equal(other.rows, np.zeros((1, NPT)))
    np.testing.assert_array_equal(other.radial, [0.0, 1.0, 2.0])
    assert other.carried("T").tolist() == [1.0]
    with pytest.raises(ValueError, match="read-only"):
        other.radial[0] = 1.0


def test_carried_readings_are_floats_with_nan_or_objects_with_none(buffer):
    np.testing.assert_array_equal(buffer.carried("temperature"), [320.0, 330.0, np.nan, 350.0])
    assert buffer.carried("sample").tolist() == ["CeO2", "CeO2", None, "CeO2"]
    with pytest.raises(KeyError, match="no row carries 'pressure'; carried are temperature, sample"):
        buffer.carried("pressure")


def test_a_row_of_the_wrong_length_is_refused_with_both_shapes(buffer):
    before = buffer.version, buffer.rows
    with pytest.raises(ValueError, match=r"intensity is \(5,\), expected \(3,\)"):
        buffer.append(np.zeros(5), 0.0, key="new")
    with pytest.raises(ValueError, match=r"intensity is \(2, 3\), expected \(3,\)"):
        buffer.replace(5, np.zeros((2, 3)), 0.0)
    with pytest.raises(ValueError, match=r"radial is \(2,\), expected \(3,\)"):
        DiffractogramBuffer(4, NPT, [1.0, 2.0])
    assert buffer.version == before[0]
    np.testing.assert_array_equal(buffer.rows, before[1])
    assert "new" not in buffer


def test_another_axis_needs_another_buffer(buffer):
    buffer.append(np.zeros(NPT), 0.0, radial=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="4 rows with radial 1 to 3; a row with radial 10 to 30 needs another buffer"):
        buffer.append(np.zeros(NPT), 0.0, radial=[10.0, 20.0, 30.0], key="new")
    assert "new" not in buffer
    buffer.reset()
    assert buffer.radial is None
    buffer.append(np.zeros(NPT), 0.0, radial=[10.0, 20.0, 30.0])
    np.testing.assert_array_equal(buffer.radial, [10.0, 20.0, 30.0])


@pytest.mark.parametrize(("size", "npt"), [(0, 3), (3, 0), (-1, 3)])
def test_a_buffer_of_nothing_is_refused(size, npt):
    with pytest.raises(ValueError, match="expected at least 1"):
        DiffractogramBuffer(size, npt)


def test_a_buffer_of_the_default_size_takes_no_memory_before_it_is_filled():
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    buffers = [DiffractogramBuffer(1024, 5000) for _ in range(20)]  # 800 MB if all were touched
    for buffer in buffers:
        buffer.append(np.ones(5000), 0.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_export_has_time_radius_and_carried_readings(buffer):
    array = buffer.to_xarray(unit="q_A^-1", attrs={"range": 1})
    assert array.dims == ("time", "radial")
    assert array.name == "intensity"
    assert array.attrs == {"range": 1}
    np.testing.assert_array_equal(array.values, buffer.rows)
    np.testing.assert_array_equal(array.radial, [1.0, 2.0, 3.0])
    assert array.radial.attrs == {"units": "q_A^-1"}
    moments = [datetime.fromtimestamp(1_700_000_000.25 + n, UTC).replace(tzinfo=None) for n in range(2, 6)]
    assert [moment.item() for moment in array.time.values.astype("datetime64[us]")] == moments
    np.testing.assert_array_equal(array.temperature, [320.0, 330.0, np.nan, 350.0])
    assert array.temperature.dims == ("time",)
    assert float(array.sel(radial=2.0, time="2023-11-14T22:13:25").values[0]) == 5.5


def test_export_can_have_a_motor_for_its_rows(buffer):
    array = buffer.to_xarray("temperature")
    assert array.dims == ("temperature", "radial")
    assert array.time.dims == ("temperature",)
    np.testing.assert_array_equal(array.sel(temperature=350.0), [5.0, 5.5, np.nan])
    assert array.radial.attrs == {}
    with pytest.raises(KeyError, match="'pressure': expected one of time, temperature, sample"):
        buffer.to_xarray("pressure")


def test_export_keeps_apart_a_reading_that_is_called_time_or_radial():
    buffer = DiffractogramBuffer(2, NPT)
    buffer.append(np.zeros(NPT), 1.0, carried={"time": 7.0, "radial": 8.0})
    array = buffer.to_xarray()
    assert array.carried_time.item() == 7.0
    assert buffer.to_xarray("carried_radial").dims == ("carried_radial", "radial")
    np.testing.assert_array_equal(array.radial, [0.0, 1.0, 2.0])


def test_export_of_what_is_no_time_and_of_nothing():
    buffer = DiffractogramBuffer(3, NPT)
    assert buffer.to_xarray().shape == (0, NPT)
    for timestamp in (np.nan, np.inf, 1e300):
        buffer.append(np.zeros(NPT), timestamp)
    assert np.isnat(buffer.to_xarray().time.values).all()


def test_a_reader_never_sees_half_a_change():
    size, npt = 50, 200
    buffer = DiffractogramBuffer(size, npt)
    done = threading.Event()
    wrong: list[str] = []
    reads = [0]

    def read() -> None:
        version = 0
        while not done.is_set():
            snapshot = buffer.snapshot()
            reads[0] += 1
            rows, times = snapshot.rows, snapshot.timestamps
            if len(rows) and (rows != times[:, None]).any():
                wrong.append("a row is not of its timestamp")
            if len(rows) and (snapshot.carried["n"] != times).any():
                wrong.append("a carried reading is not of its row")
            if (np.diff(times) != 1.0).any():
                wrong.append("rows are not in order")
            if len(rows) and times[-1] != snapshot.total - 1:
                wrong.append("the total is not that of the rows")
            if snapshot.version < version:
                wrong.append("the version fell")
            version = snapshot.version

    readers = [threading.Thread(target=read) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for reader in readers:
            reader.start()
        for n in range(3000):
            buffer.append(np.full(npt, float(n)), float(n), key=n, carried={"n": float(n)})
    finally:
        sys.setswitchinterval(interval)
        done.set()
        for reader in readers:
            reader.join()
    assert not wrong, set(wrong)
    assert reads[0] > 10
    assert buffer.snapshot().total == 3000
