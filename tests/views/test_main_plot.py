"""What the main panel shows, in words."""

from __future__ import annotations

import pytest

from bluesky_diffractogram.views.main_plot import Shown, buffer_number, choose


@pytest.mark.parametrize(("words", "number"), [("image", None), ("buffer 1", 1), (" buffer   12 ", 12)])
def test_words_of_the_configuration(words, number):
    assert buffer_number(words) == number


@pytest.mark.parametrize("words", ["", "buffer", "buffer 0", "buffer -1", "buffer x", "image 1", "picture", None])
def test_other_words_are_refused(words):
    with pytest.raises(ValueError, match="allowed: 'image', 'buffer 1'"):
        buffer_number(words)


def test_the_image_is_shown_where_it_is_asked_for_and_there_is_one():
    assert choose("image", 2, 4, buffering=True, image=True) == Shown(True, False, (1, 2))
    assert choose("image", 2, 4, buffering=True, image=False) == Shown(False, False, (1, 2))
    assert choose("image", 2, 4, buffering=False, image=True) == Shown(True, False, ())
    assert choose("image", 12, 4, buffering=True, image=True) == Shown(True, False, (1, 2, 3, 4))


def test_the_heat_map_that_is_asked_for_comes_first():
    assert choose("buffer 2", 3, 4, buffering=True, image=True) == Shown(False, True, (2, 1, 3))
    assert choose("buffer 7", 9, 2, buffering=True, image=True) == Shown(False, True, (7, 1, 2))
    assert choose("buffer 4", 3, 4, buffering=True, image=False) == Shown(False, False, (1, 2, 3))
    # without heat-maps there is the image at least
    assert choose("buffer 2", 3, 4, buffering=False, image=True) == Shown(True, False, ())
