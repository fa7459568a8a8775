"""A page as its reader's browser takes it apart: elements, attributes and text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from mnist_exp.report.html import TEMPLATES_DIR

VOID = {"meta", "link", "img", "br", "input", "hr"}
ADDRESSES = {"src", "href", "action", "data", "poster", "srcset", "formaction", "background", "cite"}
ADDRESSES |= {"xlink:href"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """Every element with the text directly in it; refuses what is not nested well."""

    source: str
    elements: list[Element] = field(default_factory=list)
    open_elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.source)
        self.close()
        assert self.open_elements == []

    def __hash__(self) -> int:
        return id(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), attrs
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open_elements.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open_elements.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open_elements.pop().name == tag

    def handle_data(self, data: str) -> None:
        if self.open_elements:
            self.open_elements[-1].text += data

    def named(self, name: str) -> list[Element]:
        return [element for element in self.elements if element.name == name]

    @property
    def text(self) -> str:
        """What a reader sees, whitespace folded."""
        shown = [element.text for element in self.elements if element.name not in ("script", "style")]
        return " ".join(" ".join(shown).split())


def read_page(folder: Path) -> Page:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert_self_contained(page)
    return page


def assert_self_contained(page: Page) -> None:
    """Nothing is asked of a network, and no script or style but the page's own is there."""
    for element in page.elements:
        assert element.name not in ("iframe", "object", "embed", "base", "form", "audio", "video", "a")
        for name, value in element.attributes.items():
            assert not name.startswith("on") and name != "style", (element.name, name)
            if name in ADDRESSES:
                assert value.startswith("data:"), (element.name, name, value[:60])
    (script,), (style,) = page.named("script"), page.named("style")
    assert script.text == (TEMPLATES_DIR / "page.js").read_text(encoding="utf-8").strip()
    assert style.text == (TEMPLATES_DIR / "page.css").read_text(encoding="utf-8").strip()
    assert "url(" not in style.text and "@import" not in style.text and "</" not in script.text
    (policy,) = [each for each in page.named("meta") if "http-equiv" in each.attributes]
    assert policy.attributes["content"].startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy.attributes["content"] and "http" not in policy.attributes["content"]


def figures_of(page: Page) -> list[str]:
    """What each figure says to those who do not see it."""
    return [
        each.attributes["aria-label"] for each in page.named("svg") if "stroke-linejoin" in each.attributes
    ]
