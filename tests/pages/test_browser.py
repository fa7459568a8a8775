"""Pages in a real browser: silent, self-contained, usable with mouse, keyboard, telephone and printer."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mnist_exp.comparison.comparison import examine
from mnist_exp.config.requests import CompareOptions
from mnist_exp.report.comparison import write_comparison_page
from mnist_exp.report.html import write_page
from mnist_exp.report.listing import listing_page, run_lines
from mnist_exp.report.run import write_run_page
from mnist_exp.runs.finding import runs_in
from mnist_exp.runs.index import read_rows
from tests.pages.page_makers import make_hostile_run, make_search

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is part of the test extra")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
OLD_RUNS = Path(__file__).parents[1] / "old_runs"
KINDS = ["run", "search", "comparison", "hostile", "list"]
# For the pictures in runs/gallery: the folder to put them in, and the directories of a real run and of a
# real comparison, whose pages are then shown instead of those of this test's short trainings.
GALLERY = os.environ.get("MNIST_EXP_GALLERY")
SHOWN = {kind: os.environ.get(f"MNIST_EXP_GALLERY_{kind.upper()}") for kind in ("run", "comparison")}
# A page is shown from its top to the end of the section before this one.
END = {"run": "Its most confident mistakes", "comparison": "Accuracy against cost"}
MOST_BYTES = 300_000
# Contrast as WCAG 2.1 defines it, of every element with text of its own that is shown.
CONTRASTS = """() => {
  const rgba = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return parts.length < 4 ? [...parts, 1] : parts;
  };
  const over = (top, below) => below.slice(0, 3).map((c, i) => top[i] * top[3] + c * (1 - top[3]));
  const ground = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement)
      layers.push(rgba(getComputedStyle(each).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = (colour) => {
    const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.matches("script") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const ink = over(rgba(element.closest("svg") ? style.fill : style.color), below);
    const [high, low] = [light(ink), light(below)].sort((a, b) => b - a);
    found.push([(high + 0.05) / (low + 0.05), element.outerHTML.slice(0, 200)]);
  }
  return found;
}"""


@dataclass
class Opened:
    """A page in a tab, with what it said and asked for."""

    tab: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # Chromium's sandbox does not work for root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages by kind; the run and the comparison are of networks that were really trained."""
    folder = tmp_path_factory.mktemp("pages")
    run = Path(shutil.copytree(OLD_RUNS / "run", folder / "run"))
    comparison = Path(shutil.copytree(OLD_RUNS / "sweep", folder / "study"))
    write_comparison_page(examine([comparison], CompareOptions()), comparison)
    made = {"run": run, "search": make_search(folder), "hostile": make_hostile_run(folder)}
    for path in made.values():
        write_run_page(path)
    made |= {"comparison": comparison, "list": make_list(folder / "many runs", 1000)}
    return {kind: path / "report.html" for kind, path in made.items()}


def make_list(folder: Path, count: int) -> Path:
    """Lists so many copies of a run on other seeds, every third failed; returns the page's folder."""
    texts = {name: (OLD_RUNS / "run" / name).read_text() for name in ("manifest.json", "summary.json")}
    for number in range(count):
        run = folder / f"run {number:04}"
        run.mkdir(parents=True)
        os.link(OLD_RUNS / "run" / "config.yaml", run / "config.yaml")
        manifest = texts["manifest.json"].replace('"seed": 0', f'"seed": {number}')
        status = "completed" if number % 3 else "failed"
        (run / "manifest.json").write_text(manifest.replace('"completed"', f'"{status}"'))
        (run / "summary.json").write_text(texts["summary.json"].replace("0.656", f"{number / count}"))
        (run / "report.html").write_text(f"<title>{run.name}</title>")
    rows = read_rows(runs_in(folder))
    listed = folder / "list"
    listed.mkdir()
    write_page(listed, listing_page(run_lines(rows, folder), rows, listed))
    return listed


def open_page(browser: Any, path: Path, width: int = 1100, **context: Any) -> Opened:
    tab = browser.new_context(viewport={"width": width, "height": 900}, **context).new_page()
    opened = Opened(tab)
    tab.on("console", lambda message: opened.messages.append(message.text))
    tab.on("pageerror", lambda error: opened.messages.append(str(error)))
    tab.on("dialog", lambda dialog: opened.messages.append(dialog.message))
    tab.on("request", lambda request: opened.requests.append(request.url))
    tab.goto(path.as_uri())
    tab.wait_for_load_state("networkidle")
    return opened


def unfold(tab: Any) -> None:
    tab.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")


def column(tab: Any, table: str, number: int) -> list[str]:
    return list(tab.locator(f"{table} tbody tr > :nth-child({number})").all_inner_texts())


@pytest.mark.parametrize("kind", KINDS)
def test_it_opens_from_disk_says_nothing_asks_for_nothing_and_fits_a_telephone(
    browser: Any, pages: dict[str, Path], kind: str
) -> None:
    opened = open_page(browser, pages[kind], width=320)
    unfold(opened.tab)
    assert opened.messages == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [pages[kind].as_uri()]
    broken = "[...document.images].filter((each) => each.src && !(each.complete && each.naturalWidth)).length"
    assert opened.tab.evaluate(broken) == 0
    assert opened.tab.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize(
    ("kind", "table"), [("run", "[aria-label=Classes] table"), ("comparison", "[aria-label=Groups] table")]
)
def test_a_click_sorts_a_table_and_another_turns_it_round(
    browser: Any, pages: dict[str, Path], kind: str, table: str
) -> None:
    tab = open_page(browser, pages[kind]).tab
    heading = tab.locator(f"{table} thead th:nth-child(4)")
    for state, is_falling in (("ascending", False), ("descending", True)):
        heading.locator("button").click()
        values = [float(text.split("%")[0]) for text in column(tab, table, 4)]
        assert len(values) > 1 and values == sorted(values, reverse=is_falling)
        assert heading.get_attribute("aria-sort") == state
        assert tab.locator(f"{table} [aria-sort]").count() == 1


def test_a_thousand_runs_are_filtered_and_lead_to_their_pages(browser: Any, pages: dict[str, Path]) -> None:
    opened = open_page(browser, pages["list"])
    tab = opened.tab
    shown = tab.locator("tbody tr:not([hidden])")
    tab.locator(".filter input").fill("FAILED seed=99")
    assert (shown.count(), tab.locator("output").inner_text()) == (5, "5 of 1000")
    tab.locator(".filter input").fill("seed=5")
    assert shown.count() == 111
    tab.locator("thead th:nth-child(5) button").click(click_count=2, delay=20)
    assert shown.first.locator("a").inner_text() == "run 0599"
    shown.first.locator("a").click()
    assert tab.title() == "run 0599"
    assert opened.messages == []


def test_a_table_sorts_from_the_keyboard_with_what_has_no_number_at_the_end(
    browser: Any, pages: dict[str, Path]
) -> None:
    tab = open_page(browser, pages["search"]).tab
    tab.locator("[aria-label=Trials] thead th:nth-child(2) button").focus()
    for expected in (["0", "2", "1"], ["2", "0", "1"]):
        tab.keyboard.press("Enter")
        assert column(tab, "[aria-label=Trials]", 1) == expected


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_a_digit_is_enlarged_and_put_away_again(browser: Any, pages: dict[str, Path], kind: str) -> None:
    opened = open_page(browser, pages[kind])
    digit = opened.tab.locator("button.digit").first
    digit.click()
    dialog = opened.tab.locator("#enlarged")
    assert dialog.is_visible()
    assert dialog.locator("img").bounding_box()["width"] > 4 * digit.bounding_box()["width"]
    assert dialog.locator("img").get_attribute("src") == digit.locator("img").get_attribute("src")
    assert dialog.locator("p").inner_text() == digit.get_attribute("data-words")
    opened.tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert opened.messages == []


def test_the_command_is_copied(browser: Any, pages: dict[str, Path]) -> None:
    opened = open_page(browser, pages["run"])
    opened.tab.locator("button.copy").first.click()
    opened.tab.wait_for_function("document.querySelector('button.copy').textContent === 'Copied'")
    assert opened.tab.evaluate("getSelection().toString()").startswith("mnist-exp data=sample")
    assert opened.messages == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_in_light_and_in_dark(
    browser: Any, pages: dict[str, Path], kind: str, scheme: str
) -> None:
    tab = open_page(browser, pages[kind], color_scheme=scheme).tab
    unfold(tab)
    found = tab.evaluate(CONTRASTS)
    assert len(found) > 50
    assert [each for each in found if each[0] < 4.5] == []


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_its_paper_is_as_light_or_dark_as_the_reader_wants(
    browser: Any, pages: dict[str, Path], scheme: str, is_dark: bool
) -> None:
    shot = open_page(browser, pages["run"], color_scheme=scheme).tab.screenshot()
    brightness = Image.open(BytesIO(shot)).convert("L").resize((1, 1)).getpixel((0, 0))
    assert (brightness < 80) == is_dark and (brightness > 200) != is_dark


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_it_prints_with_what_is_folded_on_a_screen(browser: Any, pages: dict[str, Path], kind: str) -> None:
    opened = open_page(browser, pages[kind])
    opened.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.tab.locator("details:not([open])").count() == 0
    printed = opened.tab.pdf(format="A4")
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    assert opened.messages == []


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_its_first_sections_fit_a_picture_for_the_readme(
    browser: Any, pages: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    shown = SHOWN[kind]
    page = Path(shown).resolve() / "report.html" if shown else pages[kind]
    tab = open_page(browser, page, width=1000, color_scheme="light", device_scale_factor=1.2).tab
    end = tab.locator("section", has=tab.locator("h2", has_text=END[kind])).bounding_box()
    answer = tab.locator(".score, h1.sentence").bounding_box()
    assert answer["y"] + answer["height"] < end["y"]
    picture = Path(GALLERY or tmp_path) / f"report_{kind}.png"
    shot = tab.screenshot(clip={"x": 0, "y": 0, "width": 1000, "height": end["y"] - 12}, full_page=True)
    image = Image.open(BytesIO(shot)).convert("RGB")
    image.quantize(128).save(picture, optimize=True)
    assert image.width == 1200 and min(image.convert("L").getextrema()) < 60
    assert picture.stat().st_size < MOST_BYTES
