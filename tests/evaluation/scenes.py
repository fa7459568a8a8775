"""Scenes that people's pictures come from: forms, shadows, fingers, tables, pens, cameras, formats."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from tests.evaluation.drawings import ORIENTATION, enlarged

Grey = NDArray[np.float32]
Digit = NDArray[np.uint8]
Draw = Callable[[Digit, np.random.Generator], Grey]
Write = Callable[[Grey, Path], Path]

SIDE = 200
PAPER, PEN = 0.9, 0.15


class Scene(NamedTuple):
    """A way to bring a digit.

    Attributes:
        draw: Makes the picture, float32 (H, W), 0 black to 1 white.
        write: Saves it.
        ending: Of the file.
    """

    draw: Draw
    write: Write
    ending: str = "png"


def ink_on_page(digit: Digit, factor: int = 5, side: int = SIDE, shift: tuple[int, int] = (0, 0)) -> Grey:
    """Lays a digit's ink, 0 to 1, into the middle of an empty page."""
    ink = np.clip(enlarged(digit, factor), 0, 1)
    page = np.zeros((side, side), np.float32)
    top, left = ((side - len(ink)) // 2 + moved for moved in shift)
    page[top : top + len(ink), left : left + len(ink)] = ink
    return page


def written(ink: Grey, pen: float = PEN, paper: float = PAPER) -> Grey:
    return (paper + (pen - paper) * ink).astype(np.float32)


def page(digit: Digit, _: np.random.Generator) -> Grey:
    return written(ink_on_page(digit))


def drawn_over(
    lines: Callable[[ImageDraw.ImageDraw, np.random.Generator], None], colour: float = PEN
) -> Draw:
    """A page with something drawn on it, and the digit over that."""

    def draw(digit: Digit, generator: np.random.Generator) -> Grey:
        mask = Image.new("L", (SIDE, SIDE))
        lines(ImageDraw.Draw(mask), generator)
        drawn = written(np.asarray(mask, np.float32) / 255, colour)
        return np.minimum(drawn, page(digit, generator))

    return draw


def box(inset: int, width: int, colour: float = PEN, radius: int = 0, sides: str = "NESW") -> Draw:
    """A form's box around the digit, perhaps with rounded corners or without a side."""
    near, far = inset, SIDE - 1 - inset

    def lines(drawing: ImageDraw.ImageDraw, _: np.random.Generator) -> None:
        if radius:
            drawing.rounded_rectangle((near, near, far, far), radius, outline=255, width=width)
        bars = {
            "N": (near, near, far, near + width - 1), "S": (near, far - width + 1, far, far),
            "W": (near, near, near + width - 1, far), "E": (far - width + 1, near, far, far),
        }  # fmt: skip
        for name in sides if not radius else "":
            drawing.rectangle(bars[name], fill=255)

    return drawn_over(lines, colour)


def circle(drawing: ImageDraw.ImageDraw, _: np.random.Generator) -> None:
    drawing.ellipse((8, 8, SIDE - 9, SIDE - 9), outline=255, width=3)


def ruled(step: int, width: int, is_squared: bool = False, tilt: int = 0) -> Callable[..., None]:
    """Lines across the page, from edge to edge."""

    def lines(drawing: ImageDraw.ImageDraw, generator: np.random.Generator) -> None:
        start = int(generator.integers(4, step))
        for place in range(start, SIDE, step):
            drawing.line((0, place, SIDE, place + tilt), fill=255, width=width)
            if is_squared:
                drawing.line((place, 0, place - tilt, SIDE), fill=255, width=width)

    return lines


def base_and_top_lines(drawing: ImageDraw.ImageDraw, _: np.random.Generator) -> None:
    for place in (22, 178):
        drawing.line((0, place, SIDE, place), fill=255, width=3)


def lit(light: Callable[[Grey, Grey], Grey]) -> Draw:
    """A page in some light: a function of y and x, both 0 to 1."""

    def draw(digit: Digit, generator: np.random.Generator) -> Grey:
        down, across = np.meshgrid(*2 * [np.linspace(0, 1, SIDE, dtype=np.float32)], indexing="ij")
        noise = 0.01 * generator.standard_normal((SIDE, SIDE))
        return np.clip(page(digit, generator) * light(down, across) + noise, 0, 1).astype(np.float32)

    return draw


def shadow(strength: float, softness: float, slope: float = 0.0, place: float = 0.6) -> Draw:
    """A shadow whose edge runs down the page, from hard (0) to soft."""

    def light(down: Grey, across: Grey) -> Grey:
        depth = across + slope * (down - 0.5) - place
        covered = depth > 0 if softness == 0 else 0.5 + 0.5 * np.tanh(depth / softness / 2)
        return 1 - (1 - strength) * covered

    return lit(light)


def fingers(down: Grey, across: Grey) -> Grey:
    """A hand's shadow with two fingers."""
    is_hand = across > 0.8
    for middle in (0.3, 0.55):
        is_hand |= (np.abs(down - middle) < 0.08) & (across > 0.45)
    return ndimage.gaussian_filter(1 - 0.45 * is_hand.astype(np.float32), 3)


def corners(strength: float) -> Draw:
    """Dark corners, as wide lenses have them."""
    return lit(lambda down, across: 1 - strength * (2 * ((down - 0.5) ** 2 + (across - 0.5) ** 2)) ** 2)


def black_corners(down: Grey, across: Grey) -> Grey:
    """A round lens hood in the picture's corners."""
    outside = (down - 0.5) ** 2 + (across - 0.5) ** 2 > 0.62**2
    return 1 - 0.85 * outside.astype(np.float32)


def thumb(middle: tuple[float, float], radii: tuple[float, float], skin: float = 0.45) -> Draw:
    """A thumb that reaches into the picture."""

    def draw(digit: Digit, generator: np.random.Generator) -> Grey:
        down, across = np.meshgrid(*2 * [np.linspace(0, 1, SIDE)], indexing="ij")
        inside = ((down - middle[0]) / radii[0]) ** 2 + ((across - middle[1]) / radii[1]) ** 2 < 1
        cover = ndimage.gaussian_filter(inside.astype(np.float32), 1.5)
        grain = 0.02 * generator.standard_normal(cover.shape)
        return np.clip(page(digit, generator) * (1 - cover) + (skin + grain) * cover, 0, 1).astype(np.float32)

    return draw


def beside(cut: Callable[[Grey, Grey], NDArray[np.bool_]], other: float) -> Draw:
    """Something else where the paper ends."""

    def draw(digit: Digit, generator: np.random.Generator) -> Grey:
        down, across = np.meshgrid(*2 * [np.linspace(0, 1, SIDE, dtype=np.float32)], indexing="ij")
        seen = np.where(cut(down, across), other, page(digit, generator))
        return np.clip(seen + 0.015 * generator.standard_normal(seen.shape), 0, 1).astype(np.float32)

    return draw


def sheet_on_table(digit: Digit, generator: np.random.Generator) -> Grey:
    """A whole sheet, turned a little, that lies on a dark table."""
    sheet = np.pad(page(digit, generator), 60, constant_values=0.25)
    turned = ndimage.rotate(sheet, float(generator.uniform(-8, 8)), reshape=False, order=1, cval=0.25)
    return np.clip(turned + 0.015 * generator.standard_normal(turned.shape), 0, 1).astype(np.float32)


def noisy(sigma: float, blur: float = 0.0) -> Draw:
    def draw(digit: Digit, generator: np.random.Generator) -> Grey:
        clean = ndimage.gaussian_filter(page(digit, generator), blur)
        return np.clip(clean + sigma * generator.standard_normal(clean.shape), 0, 1).astype(np.float32)

    return draw


def levels(low: float, high: float, is_inverted: bool = False) -> Draw:
    """The whole range of greys squeezed into a small one."""

    def draw(digit: Digit, _: np.random.Generator) -> Grey:
        ink = ink_on_page(digit)
        return (low + (high - low) * (ink if is_inverted else 1 - ink)).astype(np.float32)

    return draw


def cropped(factor: int, least: float, is_inverted: bool = False) -> Draw:
    """A digit cut out with no margin at all."""

    def draw(digit: Digit, _: np.random.Generator) -> Grey:
        ink = np.clip(enlarged(digit, factor), 0, 1)
        rows, columns = (np.flatnonzero((ink > least).any(axis=axis)) for axis in (1, 0))
        ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return ink if is_inverted else 1 - ink

    return draw


def pen(change: float) -> Draw:
    """A thinner (below 0) or thicker pen, in pixels of the page."""

    def draw(digit: Digit, _: np.random.Generator) -> Grey:
        ink = ink_on_page(digit) > 0.5
        distance = ndimage.distance_transform_edt(ink) - ndimage.distance_transform_edt(~ink)
        thinned = distance > min(-change, 0.7 * float(distance.max()))
        return written(ndimage.gaussian_filter(thinned.astype(np.float32), 0.7))

    return draw


def far_away(side: int, factor: int) -> Draw:
    def draw(digit: Digit, generator: np.random.Generator) -> Grey:
        room = (side - 28 * factor) // 2
        shift = tuple(int(each) for each in generator.integers(-room, room, 2))
        small = written(ink_on_page(digit, factor, side, (shift[0], shift[1])))
        return np.clip(small + 0.01 * generator.standard_normal(small.shape), 0, 1).astype(np.float32)

    return draw


def write_as(mode: str = "L", **options: object) -> Write:
    def write(grey: Grey, path: Path) -> Path:
        Image.fromarray(np.rint(255 * grey).astype(np.uint8)).convert(mode).save(path, **options)
        return path

    return write


def write_turned(grey: Grey, path: Path) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(np.rint(255 * np.rot90(grey)).astype(np.uint8)).convert("RGB").save(path, exif=exif)
    return path


def write_wide(largest: int) -> Write:
    """Writes 16 bits a pixel, of which a camera or scanner uses some."""

    def write(grey: Grey, path: Path) -> Path:
        Image.fromarray(np.rint(largest * grey).astype(np.uint16)).save(path)
        return path

    return write


def write_coloured(pen_colour: tuple[int, int, int], paper_colour: tuple[int, int, int]) -> Write:
    def write(grey: Grey, path: Path) -> Path:
        ink = np.clip((PAPER - grey) / (PAPER - PEN), 0, 1)[..., None]
        mixed = np.array(paper_colour) * (1 - ink) + np.array(pen_colour) * ink
        Image.fromarray(np.rint(mixed).astype(np.uint8)).save(path)
        return path

    return write


def write_transparent(grey: Grey, path: Path) -> Path:
    ink = np.clip((PAPER - grey) / (PAPER - PEN), 0, 1)
    pixels = np.zeros((*grey.shape, 4), np.uint8)
    pixels[..., 3] = np.rint(255 * ink)
    Image.fromarray(pixels).save(path)
    return path


def write_photograph(grey: Grey, path: Path) -> Path:
    """Writes twelve megapixels, as a telephone does."""
    large = Image.fromarray(np.rint(255 * grey).astype(np.uint8)).resize((3000, 3000)).convert("RGB")
    canvas = Image.new("RGB", (4000, 3000), tuple(3 * [round(255 * float(grey[0, 0]))]))
    canvas.paste(large, (500, 0))
    canvas.save(path, quality=85)
    return path


def write_animated(grey: Grey, path: Path) -> Path:
    first = Image.fromarray(np.rint(255 * grey).astype(np.uint8))
    first.save(path, save_all=True, append_images=[Image.new("L", first.size, 90)], duration=100)
    return path


PNG = write_as()

SURROUNDED: dict[str, Draw] = {
    "box at the edge, 3 pixels": box(0, 3),
    "box at the edge, 1 pixel": box(0, 1),
    "box at the edge, 10 pixels": box(0, 10),
    "box inset": box(10, 4),
    "box inset, light grey": box(6, 6, 0.6),
    "box inset, black": box(14, 3, 0.0),
    "box with round corners": box(5, 4, radius=40),
    "box without its right side": box(8, 4, sides="NSW"),
    "box without its top": box(0, 3, sides="ESW"),
    "a corner of a box": box(6, 4, sides="NW"),
    "circled": drawn_over(circle),
    "between two lines": drawn_over(base_and_top_lines),
    "ruled paper, grey": drawn_over(ruled(40, 2), 0.65),
    "ruled paper, dark": drawn_over(ruled(50, 2), 0.3),
    "ruled paper, tilted": drawn_over(ruled(45, 2, tilt=8), 0.5),
    "squared paper, grey": drawn_over(ruled(25, 1, is_squared=True), 0.65),
    "squared paper, dark": drawn_over(ruled(50, 2, is_squared=True), 0.4),
    "shadow, right part 0.55, hard": shadow(0.55, 0),
    "shadow, right part 0.55, soft": shadow(0.55, 0.02),
    "shadow, half, 0.3": shadow(0.3, 0.01, place=0.5),
    "shadow, slanted": shadow(0.55, 0.004, slope=0.7, place=0.45),
    "shadow, very soft": shadow(0.4, 0.08, place=0.5),
    "shadow, faint": shadow(0.85, 0, slope=0.3, place=0.3),
    "shadow of fingers": lit(fingers),
    "gradient, strong": lit(lambda down, across: 0.25 + 0.75 * (down + across) / 2),
    "dark corners": corners(0.6),
    "dark corners, strong": corners(0.95),
    "black corners": lit(black_corners),
    "thumb below": thumb((1.0, 0.5), (0.16, 0.11)),
    "thumb at a corner": thumb((1.0, 0.05), (0.35, 0.22)),
    "thumb at the right, dark": thumb((0.4, 1.02), (0.13, 0.2), 0.25),
    "thumb, large": thumb((0.0, 0.0), (0.3, 0.45), 0.55),
    "table at the left": beside(lambda down, across: across < 0.1, 0.3),
    "table, slanted": beside(lambda down, across: across + 0.15 * down < 0.18, 0.25),
    "light table at two sides": beside(lambda down, across: (across > 0.9) | (down > 0.88), 0.6),
    "sheet on a table": sheet_on_table,
    "page's edge": beside(lambda down, across: np.abs(across - 0.05 - 0.02 * down) < 0.008, 0.4),
}
"""Something besides the digit, or uneven light."""

BARE: dict[str, Draw] = {
    "cropped, enlarged": cropped(5, 0.1),
    "cropped, enlarged, at half ink": cropped(5, 0.5),
    "cropped, 28 pixels": cropped(1, 0.05),
    "cropped, 28 pixels, at half ink": cropped(1, 0.5),
    "cropped, white on black": cropped(5, 0.1, is_inverted=True),
    "greys 118 to 130": levels(118 / 255, 130 / 255),
    "greys 118 to 130, light on dark": levels(118 / 255, 130 / 255, is_inverted=True),
    "greys 250 to 255": levels(250 / 255, 1),
    "greys 0 to 8": levels(0, 8 / 255),
}
"""No margin, or few grey levels."""

ORDINARY: dict[str, Draw] = {
    "page": page,
    "blackboard": lambda digit, generator: np.clip(
        written(ink_on_page(digit), 0.8, 0.2) + 0.03 * generator.standard_normal((SIDE, SIDE)), 0, 1
    ).astype(np.float32),
    "noise": noisy(0.05),
    "noise, strong": noisy(0.15),
    "blurred": noisy(0.01, 4),
    "thin pen": pen(-3),
    "thick pen": pen(5),
    "far away": far_away(700, 4),
    "farther away": far_away(1000, 3),
}  # fmt: skip

FORMATS: dict[str, tuple[Write, str]] = {
    "JPEG, quality 20": (write_as(quality=20), "jpg"),
    "JPEG, CMYK": (write_as("CMYK"), "jpg"),
    "JPEG, turned": (write_turned, "jpg"),
    "JPEG, 12 megapixels": (write_photograph, "jpg"),
    "PNG, 1 bit": (write_as("1", dither=0), "png"),
    "PNG, palette": (write_as("P"), "png"),
    "PNG, grey and alpha": (write_as("LA"), "png"),
    "PNG, transparent": (write_transparent, "png"),
    "PNG, 16 bits": (write_wide(65535), "png"),
    "PNG, 12 of 16 bits": (write_wide(4095), "png"),
    "PNG, 8 of 16 bits": (write_wide(255), "png"),
    "PNG, values 0 and 1": (lambda grey, path: PNG((grey > 0.5) / np.float32(255), path), "png"),
    "blue on yellow": (write_coloured((30, 60, 200), (250, 235, 120)), "png"),
    "red on green": (write_coloured((200, 40, 40), (90, 170, 90)), "png"),
    "red on black": (write_coloured((255, 0, 0), (0, 0, 0)), "png"),
    "WebP": (write_as("RGB"), "webp"),
    "BMP": (write_as("RGB"), "bmp"),
    "TIFF": (write_as(), "tif"),
    "TIFF, 16 bits": (write_wide(40_000), "tiff"),
    "GIF, animated": (write_animated, "gif"),
    "PGM": (write_as(), "pgm"),
    "PPM": (write_as("RGB"), "ppm"),
    "JFIF": (lambda grey, path: write_as(format="JPEG")(grey, path), "jfif"),
}

KINDS: dict[str, dict[str, Scene]] = {
    "surrounded": {name: Scene(draw, PNG) for name, draw in SURROUNDED.items()},
    "bare": {name: Scene(draw, PNG) for name, draw in BARE.items()},
    "ordinary": {name: Scene(draw, PNG) for name, draw in ORDINARY.items()},
    "formats": {name: Scene(page, write, ending) for name, (write, ending) in FORMATS.items()},
}


def blank_pages(generator: np.random.Generator) -> dict[str, Grey]:
    """Pages with nothing on them, in the light and noise that the others have."""
    empty = np.zeros((28, 28), np.uint8)
    noise = generator.standard_normal((SIDE, SIDE)).astype(np.float32)
    pages: dict[str, Grey] = {
        "white": np.ones((SIDE, SIDE), np.float32),
        "black": np.zeros((SIDE, SIDE), np.float32),
        "two greys": (np.full((SIDE, SIDE), 200) + (noise > 1)).astype(np.float32) / 255,
        "coarse noise": np.clip(0.7 + 0.1 * ndimage.gaussian_filter(noise, 1.5), 0, 1),
    }
    for sigma in (0.004, 0.01, 0.05, 0.15):
        pages[f"noise {sigma}"] = np.clip(0.7 + sigma * noise, 0, 1)
    lights = ["gradient, strong", "dark corners", "dark corners, strong", "shadow, very soft"]
    lights += ["shadow, right part 0.55, soft", "shadow, right part 0.55, hard", "shadow, slanted"]
    for name in lights:
        pages[name] = SURROUNDED[name](empty, generator)
    return pages
