"""How long an exported page takes to show what the network makes of a drawing: milliseconds in Chromium.

mnist-exp mode=export run=best export.format=page hydra.run.dir=exported
python tests/benchmarks/strokes.py exported/draw.html
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import sync_playwright

from tests.pages.strokes import DIGITS, draw, read

TIMES = """(count) => Array.from({ length: count }, () => {
  const start = performance.now();
  show();
  return performance.now() - start;
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="a file of export.format=page")
    parser.add_argument("--repeats", type=int, default=50, help="how often each of ten digits is shown")
    chosen = parser.parse_args()
    with sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        tab = browser.new_page()
        tab.goto(chosen.page.resolve().as_uri())
        print("| drawn | read | ms, median | ms, 95% of the times at most |\n|---|---|--:|--:|")
        for digit in DIGITS:
            measure(tab, digit, chosen.repeats)
        browser.close()


def measure(tab: Any, digit: str, repeats: int) -> None:
    """Draws a digit, shows it so often, and prints its row."""
    draw(tab, DIGITS[digit])
    found = read(tab)
    median, most = np.quantile(tab.evaluate(TIMES, repeats), [0.5, 0.95])
    print(f"| {digit} | {found} | {median:.1f} | {most:.1f} |")
    tab.keyboard.press("Escape")


if __name__ == "__main__":
    main()
