"""What the main panel shows."""

from __future__ import annotations

from dataclasses import dataclass

IMAGE = "image"
BUFFER = "buffer"


def buffer_number(main_plot: str) -> int | None:
    """The number in ``"buffer 3"``; None for ``"image"``.

    Raises
    ------
    ValueError
        `main_plot` is neither.
    """
    word, _, number = " ".join(str(main_plot).split()).partition(" ")
    if word == IMAGE and not number:
        return None
    if word == BUFFER and number.isdecimal() and int(number) >= 1:
        return int(number)
    raise ValueError(f"main_plot = {main_plot!r}: allowed: 'image', 'buffer 1', 'buffer 2', …")


def main_plots(ranges: int) -> tuple[str, ...]:
    """What the main panel can show of so many ranges."""
    return (IMAGE, *(f"{BUFFER} {number}" for number in range(1, ranges + 1)))


def checked(main_plot: str, ranges: int | None) -> str:
    """`main_plot` as it is written in `main_plots`.

    Parameters
    ----------
    main_plot
        ``"image"`` or ``"buffer i"``.
    ranges
        How many there are; None while that is not known.

    Raises
    ------
    ValueError
        It is neither, or there is no such range.
    """
    number = buffer_number(main_plot)
    if number is not None and ranges is not None and number > ranges:
        words = [repr(word) for word in main_plots(ranges)]
        if len(words) > 5:
            words[3:-1] = ["…"]
        raise ValueError(f"main_plot = {main_plot!r}: allowed: {', '.join(words)}")
    return IMAGE if number is None else f"{BUFFER} {number}"


@dataclass(frozen=True, slots=True)
class Shown:
    """Which panels are shown.

    Attributes
    ----------
    image
        Whether the image is the main panel.
    main
        Whether the first heat-map is.
    heatmaps
        The ranges whose heat-maps are shown, in their order from left to right.
    """

    image: bool
    main: bool
    heatmaps: tuple[int, ...]


def choose(main_plot: str, ranges: int, heatmaps: int, *, buffering: bool, image: bool) -> Shown:
    """Which panels are shown.

    The image where it is asked for and there is one; a heat-map where it is asked for and its range exists; without
    either, all heat-maps alike.

    Parameters
    ----------
    main_plot
        ``"image"`` or ``"buffer i"``.
    ranges
        How many there are.
    heatmaps
        How many ranges get a heat-map at most; the main panel's may be another.
    buffering
        Whether heat-maps are shown at all.
    image
        Whether there is an image.
    """
    number = buffer_number(main_plot)
    numbers = tuple(range(1, min(ranges, heatmaps) + 1)) if buffering else ()
    if number is None or not (buffering and heatmaps and number <= ranges):
        return Shown(image and (number is None or not numbers), False, numbers)
    others = tuple(each for each in numbers if each != number)
    return Shown(False, True, (number, *others))
