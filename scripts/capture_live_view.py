"""Take the README's picture: run `hark demo` in a terminal of fixed size and draw what is on its screen, SVG and PNG.

What is drawn is what the program wrote to the terminal. Needs `pip install pyte pillow matplotlib` (for its fonts).
"""

import argparse
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import pyte
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

CELL_X, CELL_Y, FONT_SIZE = 9, 20, 15  # pixels
MARGIN, TITLE_BAR = 14, 34
PNG_SCALE = 2
BACKGROUND, FOREGROUND, FRAME, TITLE = "#0d1117", "#d5dbe3", "#30363d", "#8b949e"
BUTTONS = ("#ff5f57", "#febc2e", "#28c840")
PALETTE = {
    "black": "#0d1117",
    "red": "#ff6b63",
    "green": "#3fb950",
    "brown": "#e3b341",  # ANSI yellow, as pyte calls it
    "blue": "#58a6ff",
    "magenta": "#bc8cff",
    "cyan": "#39b5c5",
    "white": "#f0f6fc",
    "brightblack": "#5f6873",
    "default": FOREGROUND,
}
# Characters that must join without gaps, as parts of a cell: left, top, right, bottom.
SHAPES = {
    "━": (0.0, 0.42, 1.0, 0.58),
    "╸": (0.0, 0.42, 0.5, 0.58),
    "─": (0.0, 0.48, 1.0, 0.53),
    "┃": (0.38, 0.12, 0.62, 0.88),
    **{bar: (0.08, 0.92 - 0.84 * (i + 1) / 8, 0.92, 0.92) for i, bar in enumerate("▁▂▃▄▅▆▇█")},
}


class Box(NamedTuple):
    """A filled rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float
    color: str


class Word(NamedTuple):
    """Text that starts at a cell's corner, in pixels."""

    left: float
    top: float
    text: str
    color: str
    bold: bool


def capture(command: list[str], columns: int, rows: int, seconds: float) -> pyte.Screen:
    """Run a command in a terminal; its screen so many seconds after its first output."""
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    end = None
    while end is None or time.monotonic() < end:
        if select.select([ours], [], [], 0.05)[0]:
            try:
                stream.feed(os.read(ours, 65536))
            except OSError:  # the command has ended
                break
            end = end or time.monotonic() + seconds
    process.send_signal(signal.SIGINT)
    process.wait()
    os.close(ours)
    return screen


def shapes_of(screen: pyte.Screen) -> Iterator[Box | Word]:
    """The screen as boxes and words, backgrounds first."""
    for pass_ in ("backgrounds", "characters"):
        for y in range(screen.lines):
            top = TITLE_BAR + MARGIN + y * CELL_Y
            word: Word | None = None
            for x in range(screen.columns):
                cell = screen.buffer[y][x]
                left = MARGIN + x * CELL_X
                ink, paper = color(cell.fg), color(cell.bg) if cell.bg != "default" else BACKGROUND
                if cell.reverse:
                    ink, paper = paper, ink
                if pass_ == "backgrounds":
                    if paper != BACKGROUND:
                        yield Box(left, top, left + CELL_X, top + CELL_Y, paper)
                    continue
                joins = word is not None and (ink, cell.bold) == (word.color, word.bold)
                if word is not None and (not joins or cell.data == " " or cell.data in SHAPES):
                    yield word
                    word = None
                if cell.data in SHAPES:
                    part = SHAPES[cell.data]
                    sides = (left + part[0] * CELL_X, top + part[1] * CELL_Y)
                    yield Box(*sides, left + part[2] * CELL_X, top + part[3] * CELL_Y, ink)
                elif cell.data != " ":
                    start = word or Word(left, top, "", ink, cell.bold)
                    word = start._replace(text=start.text + cell.data)
            if word is not None:
                yield word


def color(name: str) -> str:
    """A colour as pyte names it: of the palette, or six hexadecimal digits."""
    return PALETTE.get(name, f"#{name}")


def svg(shapes: list[Box | Word], width: int, height: int, title: str) -> str:
    """The picture with the reader's own fixed-width font."""
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f"font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" "
        f'font-size="{FONT_SIZE}">',
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="9" '
        f'fill="{BACKGROUND}" stroke="{FRAME}"/>',
    ]
    for i, fill in enumerate(BUTTONS):
        out.append(f'<circle cx="{20 + 20 * i}" cy="{TITLE_BAR / 2 + 2}" r="6" fill="{fill}"/>')
    out.append(
        f'<text x="{width / 2}" y="{TITLE_BAR / 2 + 7}" text-anchor="middle" fill="{TITLE}">{escape(title)}</text>'
    )
    for shape in shapes:
        if isinstance(shape, Box):
            size = f'width="{shape.right - shape.left:.2f}" height="{shape.bottom - shape.top:.2f}"'
            out.append(f'<rect x="{shape.left:.2f}" y="{shape.top:.2f}" {size} fill="{shape.color}"/>')
        else:
            length = f'textLength="{len(shape.text) * CELL_X}" lengthAdjust="spacingAndGlyphs"'
            weight = ' font-weight="bold"' if shape.bold else ""
            where = f'x="{shape.left}" y="{shape.top + 0.74 * CELL_Y:.1f}"'
            out.append(f'<text {where} {length} fill="{shape.color}"{weight}>{escape(shape.text)}</text>')
    return "\n".join([*out, "</svg>", ""])


def png(shapes: list[Box | Word], width: int, height: int, title: str) -> Image.Image:
    """The picture in DejaVu Sans Mono, at twice the size."""
    k = PNG_SCALE
    fonts = {bold: mono(FONT_SIZE * k, bold=bold) for bold in (False, True)}
    image = Image.new("RGBA", (width * k, height * k), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, width * k - 1, height * k - 1), 9 * k, fill=BACKGROUND, outline=FRAME, width=k)
    for i, fill in enumerate(BUTTONS):
        x, y = (20 + 20 * i) * k, (TITLE_BAR / 2 + 2) * k
        draw.ellipse((x - 6 * k, y - 6 * k, x + 6 * k, y + 6 * k), fill=fill)
    draw.text((width * k / 2, (TITLE_BAR / 2 + 2) * k), title, TITLE, fonts[False], anchor="mm")
    for shape in shapes:
        if isinstance(shape, Box):
            left, top, right, bottom = (round(side * k) for side in shape[:4])
            draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill=shape.color)
        else:
            for i, character in enumerate(shape.text):
                at = ((shape.left + i * CELL_X) * k, (shape.top + 0.74 * CELL_Y) * k)
                draw.text(at, character, shape.color, fonts[shape.bold], anchor="ls")
    return image


def mono(size: int, *, bold: bool) -> Any:
    """DejaVu Sans Mono, which comes with matplotlib."""
    properties = font_manager.FontProperties(family="DejaVu Sans Mono", weight="bold" if bold else "normal")
    return ImageFont.truetype(font_manager.findfont(properties), size)


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at", type=float, default=24.0, metavar="SECONDS", help="when, after the view appears")
    parser.add_argument("--columns", type=int, default=88)
    parser.add_argument("--rows", type=int, default=26)
    parser.add_argument("--out", type=Path, default=Path("docs/figures/live-view"), help="without .svg and .png")
    parser.add_argument("arguments", nargs="*", help="of hark demo, after --")
    options = parser.parse_args()
    command = [sys.executable, "-m", "tinyhark.app", "demo", *options.arguments]
    screen = capture(command, options.columns, options.rows, options.at)
    shapes = list(shapes_of(screen))
    width = 2 * MARGIN + options.columns * CELL_X
    height = TITLE_BAR + 2 * MARGIN + options.rows * CELL_Y
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".svg").write_text(svg(shapes, width, height, "hark demo"), encoding="utf-8")
    png(shapes, width, height, "hark demo").save(options.out.with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
