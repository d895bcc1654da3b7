"""What the main panel shows."""

from __future__ import annotations

from dataclasses import dataclass

IMAGE = "image"
CAKE = "cake"
BUFFER = "buffer"


def buffer_number(main_plot: str) -> int | None:
    """The number in ``"buffer 3"``; None for ``"image"`` and ``"cake"``.

    Raises
    ------
    ValueError
        `main_plot` is none of them.
    """
    word, _, number = " ".join(str(main_plot).split()).partition(" ")
    if word in (IMAGE, CAKE) and not number:
        return None
    if word == BUFFER and number.isdecimal() and int(number) >= 1:
        return int(number)
    raise ValueError(
        f"main_plot = {main_plot!r}: allowed: 'image', 'buffer 1', 'buffer 2', …, and 'cake' where one is made"
    )


def main_plots(ranges: int, *, cake: bool) -> tuple[str, ...]:
    """What the main panel can show of so many ranges, and perhaps a cake."""
    return (IMAGE, *([CAKE] if cake else []), *(f"{BUFFER} {number}" for number in range(1, ranges + 1)))


def checked(main_plot: str, ranges: int | None, *, cake: bool | None) -> str:
    """`main_plot` as it is written in `main_plots`.

    Parameters
    ----------
    main_plot
        ``"image"``, ``"cake"`` or ``"buffer i"``.
    ranges
        How many there are; None while that is not known.
    cake
        Whether one is made; None while that is not known.

    Raises
    ------
    ValueError
        It is none of them, or there is no such range, or no cake.
    """
    number = buffer_number(main_plot)
    word = str(main_plot).strip() if number is None else f"{BUFFER} {number}"
    if (word == CAKE and cake is False) or (number is not None and ranges is not None and number > ranges):
        words = [repr(each) for each in main_plots(ranges or 1, cake=bool(cake))]
        if len(words) > 5:
            words[3:-1] = ["…"]
        raise ValueError(f"main_plot = {main_plot!r}: allowed: {', '.join(words)}")
    return word


@dataclass(frozen=True, slots=True)
class Shown:
    """Which panels are shown.

    Attributes
    ----------
    image, cake
        Whether the image, or the cake, is the main panel.
    main
        Whether the first heat-map is.
    heatmaps
        The ranges whose heat-maps are shown, in their order from left to right.
    """

    image: bool
    main: bool
    heatmaps: tuple[int, ...]
    cake: bool = False


def choose(main_plot: str, ranges: int, heatmaps: int, *, buffering: bool, image: bool, cake: bool = False) -> Shown:
    """Which panels are shown.

    Image or cake where it is asked for and there is one, and the image where there is no cake; a heat-map where it is
    asked for and its range exists; without any of them, all heat-maps alike.

    Parameters
    ----------
    main_plot
        ``"image"``, ``"cake"`` or ``"buffer i"``.
    ranges
        How many there are.
    heatmaps
        How many ranges get a heat-map at most; the main panel's may be another.
    buffering
        Whether heat-maps are shown at all.
    image, cake
        Whether there is one.
    """
    number = buffer_number(main_plot)
    numbers = tuple(range(1, min(ranges, heatmaps) + 1)) if buffering else ()
    if cake and main_plot == CAKE:
        return Shown(False, False, numbers, cake=True)
    if number is None or not (buffering and heatmaps and number <= ranges):
        return Shown(image and (number is None or not numbers), False, numbers)
    others = tuple(each for each in numbers if each != number)
    return Shown(False, True, (number, *others))
