"""Texts of a figure that lie on each other."""

from __future__ import annotations

import itertools

from matplotlib.text import Text


def overlaps(figure):
    """Texts that leave the figure, and pairs of them that lie on each other."""
    boxes, (width, height) = texts(figure), figure.figure.bbox.size
    outside = [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height]
    pairs = []
    for (one, box), (other, other_box) in itertools.combinations(boxes, 2):
        overlap_x = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
        overlap_y = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
        if min(overlap_x, overlap_y) >= 1.5:
            pairs.append((one, other))
    return outside, pairs


def texts(figure):
    """The texts that are drawn, with their boxes in pixels."""
    renderer = figure.figure.canvas.get_renderer()
    found = []
    for axes in (ax for ax in figure.figure.axes if ax.get_visible()):
        ticks = {id(label) for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels(which="both")}
        for artist in axes.findobj(Text):
            if id(artist) in ticks:
                continue
            found.append(artist)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for at, tick in zip(axis.get_majorticklocs(), axis.get_major_ticks(), strict=False):
                if low <= at <= high:
                    found += [label for label in (tick.label1, tick.label2) if label.get_visible()]
    found += figure.figure.texts
    drawn_texts = [text for text in found if text.get_visible() and text.get_text()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in drawn_texts]
