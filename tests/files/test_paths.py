"""From URIs to paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluesky_diffractogram.files import NotReadable, Paths, Unreadable
from bluesky_diffractogram.files.paths import paths_of


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("file://localhost/data/a.h5", ["/data/a.h5"]),
        ("file:///data/a%20b.h5", ["/data/a%20b.h5", "/data/a b.h5"]),
        ("file:/data/a.h5", ["/data/a.h5"]),
        ("file://localhost/C:/data/a.h5", ["C:/data/a.h5"]),
        ("C:\\data\\a.h5", ["C:\\data\\a.h5"]),
        ("/data/a#b?c.h5", ["/data/a#b?c.h5"]),
        ("file://ioc7/data/a#b.h5", ["/data/a#b.h5"]),
        ("data/a.h5", ["data/a.h5"]),
    ],
)
def test_the_paths_that_a_uri_may_mean(uri, expected):
    assert paths_of(uri) == expected


@pytest.mark.parametrize("uri", ["http://a/b.h5", "s3://bucket/a.h5", "data:text/plain,a"])
def test_other_uris_are_refused(uri):
    with pytest.raises(Unreadable, match="no file"):
        paths_of(uri)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:\\data\\my scan\\x.h5", "/mnt/my scan/x.h5"),
        ("C:/data/x.h5", "/mnt/x.h5"),
        ("file://localhost/C:/data/x.h5", "/mnt/x.h5"),
        ("C:/database/x.h5", "C:/database/x.h5"),
        ("/gpfs/x\\y.h5", "/here/x\\y.h5"),
        ("/gpfs/raw/x.h5", "/fast/x.h5"),
    ],
)
@pytest.mark.parametrize("key", ["C:\\data", "C:/data/"])
def test_root_map(path, expected, key):
    assert Paths({key: "/mnt", "/gpfs": "/here", "/gpfs/raw/": "/fast"}).resolve(path) == expected


def test_an_encoded_uri_is_understood_when_its_file_has_come(tmp_path):
    uri, paths = (tmp_path / "a b.h5").as_uri(), Paths()
    with pytest.raises(NotReadable):
        paths.resolve(uri)
    (tmp_path / "a b.h5").touch()
    assert paths.resolve(uri) == str(tmp_path / "a b.h5")


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "link", ""]), max_size=8))
def test_no_path_leads_out_of_the_roots(tmp_path_factory, parts):
    base = tmp_path_factory.getbasetemp() / "roots"
    (base / "in" / "a").mkdir(parents=True, exist_ok=True)
    (base / "out").mkdir(exist_ok=True)
    if not (base / "in" / "link").is_symlink():
        (base / "in" / "link").symlink_to(base / "out")
    path = base.joinpath("in", *parts)
    allowed = Paths(roots=[str(base / "in")]).allows(str(path))
    assert allowed == path.resolve().is_relative_to((base / "in").resolve())


@pytest.mark.parametrize("root_map", [["/there"], {"/there": 1}, "/there=/here"], ids=str)
def test_a_root_map_that_is_none_is_refused_at_once(root_map):
    with pytest.raises(TypeError, match="root_map"):
        Paths(root_map)


@pytest.mark.parametrize("roots", ["/data", [1]], ids=str)
def test_roots_that_are_none_are_refused_at_once(roots):
    with pytest.raises(TypeError, match="roots"):
        Paths(roots=roots)


def test_folders_may_be_given_as_paths(tmp_path):
    assert Paths({Path("/there"): tmp_path}).resolve("/there/a.h5") == str(tmp_path / "a.h5")
