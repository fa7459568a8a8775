"""Digits as a hand draws them on a page, stroke by stroke."""

from typing import Any

import numpy as np

Stroke = list[tuple[float, float]]
"""Points across and down, as shares of the paper's side."""


def arc(x: float, y: float, across: float, down: float, start: float, end: float) -> Stroke:
    """A part of an ellipse, from one angle to another in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 24))
    return [(x + across * float(np.cos(angle)), y + down * float(np.sin(angle))) for angle in angles]


DIGITS: dict[str, list[Stroke]] = {
    "0": [arc(0.5, 0.5, 0.18, 0.29, -80, 280)],
    "1": [[(0.53, 0.2), (0.5, 0.8)]],
    "2": [[*arc(0.48, 0.36, 0.17, 0.15, -170, 30), (0.32, 0.77), (0.7, 0.76)]],
    "3": [[*arc(0.46, 0.35, 0.17, 0.14, -150, 90), *arc(0.46, 0.64, 0.2, 0.16, -90, 150)]],
    "4": [[(0.36, 0.2), (0.31, 0.52), (0.68, 0.5)], [(0.62, 0.24), (0.57, 0.82)]],
    "5": [[(0.4, 0.22), (0.37, 0.47), *arc(0.45, 0.62, 0.2, 0.17, -110, 140)], [(0.4, 0.22), (0.68, 0.21)]],
    "6": [[(0.58, 0.18), (0.42, 0.38), (0.34, 0.6), *arc(0.49, 0.65, 0.15, 0.14, 180, 520)]],
    "7": [[(0.3, 0.25), (0.7, 0.24), (0.46, 0.8)]],
    "8": [[*arc(0.5, 0.34, 0.13, 0.13, -60, -270), *arc(0.5, 0.63, 0.16, 0.16, -90, 270), (0.6, 0.26)]],
    "9": [[*arc(0.48, 0.37, 0.15, 0.15, 0, -350), (0.64, 0.36), (0.6, 0.82)]],
}


def draw(tab: Any, strokes: list[Stroke]) -> None:
    """Draws with the mouse on the page's paper, as it lies in the window."""
    paper = tab.locator("#paper").bounding_box()
    for stroke in strokes:
        points = [(paper["x"] + x * paper["width"], paper["y"] + y * paper["height"]) for x, y in stroke]
        tab.mouse.move(*points[0])
        tab.mouse.down()
        for point in points[1:]:
            tab.mouse.move(*point, steps=4)
        tab.mouse.up()


def read(tab: Any) -> str:
    """Waits until what was drawn is shown, and tells what the network reads."""
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return str(tab.locator("#answer").inner_text())
