"""Pages that were laid out once take the next study's words: reports of one outline differ in little else.

Laying out a page is two thirds of a PDF's processor time (docs/performance.md), and comes out the same for
study after study: where lines, tables and pictures stand. So the layout of a page is kept, and for another
page of the same outline (elements, attributes) only what differs is put into it: a line's text is shaped anew
by WeasyPrint, pictures and drawings are exchanged. Then WeasyPrint draws the pages; lines that stay, it draws
from memory (`kept_lines`).

The PDF is the same, byte for byte, as one laid out from scratch, and tests hold it to that. For whatever
could move something else on the page is refused, and that page is laid out from scratch: text that was or
would be broken into lines, that does not fit, that is of another height (another script), a picture of
another size.

This reaches into WeasyPrint's boxes, which are no public interface: its version is pinned, and those tests
fail where a new one does something else.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from weasyprint import DEFAULT_OPTIONS, HTML, Document
from weasyprint.document import DocumentMetadata
from weasyprint.formatting_structure import boxes
from weasyprint.html import get_html_metadata
from weasyprint.images import SVGImage, get_image_from_uri
from weasyprint.text.fonts import FontConfiguration
from weasyprint.text.line_break import split_first_line, strut

from cxrbatch.reporting.kept_lines import remember_lines

SVG = "{http://www.w3.org/2000/svg}svg"
SHORT_OF_THE_EDGE = 0.01
"""Pixels that a text must leave free to count as fitting: whether it just fits, a whole layout must say."""

_ALIKE = {"below": "above"}
"""Classes that change how text looks, and nothing of where it stands."""
_WORDS = "data-who"
"""An attribute that is printed: the style sheet puts it into the pages' margins (``string-set``)."""
_UNSEEN = ("alt", _WORDS)
_BLANK = " \t\n\r\f"

Path = tuple[str, ...]
"""Tags and classes from the root to an element: what decides how its text looks."""


class DoesNotFitError(Exception):
    """A page cannot be put into a kept layout."""


@dataclass(frozen=True, slots=True)
class Content:
    """A page, taken apart: its `outline`, and what may differ between pages of one outline.

    `texts` are those of all elements in their order, without those that are blank, each with the path of its
    element; `owners` says which element of `elements` each belongs to (None: an attribute's).
    """

    outline: tuple[object, ...]
    elements: Sequence[Element]
    texts: Sequence[str]
    paths: Sequence[Path]
    owners: Sequence[int | None]


def read_content(root: Element) -> Content:
    """Take the page below `root` apart."""
    outline: list[object] = []
    elements: list[Element] = []
    texts: list[str] = []
    paths: list[Path] = []
    owners: list[int | None] = []

    def note(text: str | None, owner: int | None, path: Path) -> None:
        is_seen = bool(text and text.strip(_BLANK))
        outline.append(is_seen)
        if is_seen and text:
            texts.append(text)
            paths.append(path)
            owners.append(owner)

    def visit(element: Element, above: Path) -> None:
        number = len(elements)
        elements.append(element)
        named = element.get("class", "")
        path = (*above, element.tag, named)
        alike = " ".join(_ALIKE.get(name, name) for name in named.split())
        rest = tuple((n, v) for n, v in element.items() if n != "class" and n not in _UNSEEN)
        outline.append((element.tag, alike, rest))
        note(element.get(_WORDS), None, ())
        if element.tag not in (SVG, "head"):
            note(element.text, number, path)
            for child in element:
                visit(child, path)
                note(child.tail, number, path)
        outline.append(None)

    visit(root, ())
    return Content(tuple(outline), elements, texts, paths, owners)


class KeptLayouts:
    """Layouts of pages under one style sheet, page size and `fonts`; the least recently used goes first."""

    MOST = 12
    """Some 4 MB each, with the pictures of its last page; more outlines are rare in a night."""

    def __init__(self, fonts: FontConfiguration) -> None:
        remember_lines()
        self._fonts = fonts
        self._layouts: OrderedDict[tuple[object, ...], _Layout] = OrderedDict()
        self._words = _Words()

    def document(self, page: HTML, lay_out: Callable[[HTML], Document]) -> Document:
        """`lay_out(page)`, or the same from a kept layout. It holds until the next call."""
        content = read_content(page.etree_element)
        for key, layout in reversed(self._layouts.items()):
            if key[0] == content.outline and layout.has_fixed(content.texts):
                try:
                    layout.fill(content, page, self._words)
                except DoesNotFitError:
                    continue
                self._layouts.move_to_end(key)
                metadata = DocumentMetadata(**get_html_metadata(page))
                return Document(layout.pages, metadata, page.url_fetcher, self._fonts, {}, None)
        document = lay_out(page)
        layout = _Layout(content, document)
        self._layouts[content.outline, layout.fixed] = layout
        self._words.styles.update(layout.styles)
        while len(self._layouts) > self.MOST:
            self._layouts.popitem(last=False)
        return document


@dataclass(slots=True)
class _Text:
    """A text box that holds all of one text of the page.

    `text` is that text with its spaces collapsed as CSS wants. Of a space at either end `loses_first` and
    `loses_last` say whether it fell away before the text was shaped, and `hangs` whether the last one lies at
    the end of the line, where it is drawn but takes no room.
    """

    number: int
    box: Any
    text: str
    path: Path
    loses_first: bool = field(init=False)
    loses_last: bool = field(init=False)
    hangs: bool = field(init=False)

    def __post_init__(self) -> None:
        shaped = self.box.pango_layout.text
        self.loses_first = self.text[0] == " " != shaped[0]
        self.loses_last = self.text[-1] == " " != shaped[-1]
        self.hangs = shaped[-1] == " " != self.box.text[-1]

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing else in the box, and nothing of the text elsewhere."""
        return bool(self.text.strip(" ") == self.box.text.strip(" "))

    def to_shape(self, text: str) -> str:
        """What is to be shaped for another text of the page.

        Raises:
            DoesNotFitError: it has spaces at its ends where this one has none, or the other way round.
        """
        other = _collapsed(self.box, text)
        if any((self.text[end] == " ") != (other[end] == " ") for end in (0, -1)):
            raise DoesNotFitError
        return other[1 if self.loses_first else 0 : -1 if self.loses_last else None]


def _collapsed(box: Any, text: str) -> str:
    probe = box.copy_with_text(text)
    probe.process_whitespace()
    probe.process_text_transform()
    return str(probe.text)


@dataclass(slots=True)
class _Line:
    """A line of the page, `box`, in its block, `container`, with the texts in it that may change."""

    box: Any
    container: Any
    texts: list[_Text] = field(default_factory=list)
    shown: list[tuple[str, Path]] | None = None

    def fill(self, content: Content, words: _Words) -> None:
        wanted = [(content.texts[text.number], content.paths[text.number]) for text in self.texts]
        if wanted == self.shown:
            return
        self.shown = None
        if self.box.style["direction"] != "ltr" or self.box.position_x != self.container.content_box_x():
            raise DoesNotFitError  # right-aligned or centred: its start depends on its length
        edge = self.container.content_box_x() + self.container.width
        by_child = {id(text.box): (text, *want) for text, want in zip(self.texts, wanted, strict=True)}
        self._set(self.box, edge, by_child, words)
        self.shown = wanted

    def _set(
        self, parent: Any, edge: float, wanted: dict[int, tuple[_Text, str, Path]], words: _Words
    ) -> None:
        """Put texts into the children of `parent`, a line or an inline box, one behind the other."""
        x = None
        for child in parent.children:
            if x is not None:
                child.translate(dx=x - child.position_x)
                child.position_x = x  # exactly as in a layout from scratch
            if isinstance(child, boxes.InlineBox):
                self._set(child, edge, wanted, words)
            elif id(child) in wanted:
                words.put(*wanted[id(child)], edge - child.position_x)
            x = child.position_x + child.margin_width()
        if x is not None:
            if parent.style["white_space"] not in ("pre", "nowrap") and x > edge - SHORT_OF_THE_EDGE:
                raise DoesNotFitError
            parent.width = x - parent.content_box_x()


@dataclass(frozen=True, slots=True)
class _Shaped:
    """A text as WeasyPrint's ``split_first_line`` shaped it, `is_whole` if it takes one line."""

    style: Any
    layout: Any
    is_whole: bool
    width: float
    height: float
    baseline: float


class _Words:
    """Puts words into text boxes. Many come again and again: a shaped text is kept, by style and room."""

    MOST = 1000

    def __init__(self) -> None:
        self.styles: dict[Path, Any] = {}
        """Of all kept layouts: an element of one class may become one of another."""
        self._shaped: OrderedDict[tuple[int, str, float | None], _Shaped] = OrderedDict()

    def put(self, text: _Text, words: str, path: Path, room: float) -> None:
        """As WeasyPrint's ``split_text_box``, for a text that stays on its line, as high as the one before.

        Raises:
            DoesNotFitError: it is neither.
        """
        box = text.box
        style = box.style if path == text.path else self.styles.get(path)
        if style is None:
            raise DoesNotFitError
        words = text.to_shape(words)
        shaped = self._shape(words, style, room)
        is_as_high = shaped.height == box.height and shaped.baseline + box.margin_top == box.baseline
        if not shaped.is_whole or not is_as_high or strut(style) != strut(box.style):
            raise DoesNotFitError
        width = shaped.width
        if text.hangs:
            if shaped.layout.first_line_direction % 2:
                raise DoesNotFitError  # it would hang at the other end, and move the line
            words = words.rstrip(" ")
            width = self._shape(words, style, None).width
        box.text, box.style, box.width, box.pango_layout = words, style, width, shaped.layout
        text.path = path

    def _shape(self, words: str, style: Any, room: float | None) -> _Shaped:
        key = (id(style), words, room)
        shaped = self._shaped.get(key)
        if shaped is None:
            layout, _, resume_at, width, height, baseline = split_first_line(words, style, None, room, 0)
            shaped = self._shaped[key] = _Shaped(style, layout, resume_at is None, width, height, baseline)
            if len(self._shaped) > self.MOST:
                self._shaped.popitem(last=False)
        self._shaped.move_to_end(key)
        return shaped


class _Layout:
    """The laid out pages of one page of HTML, and what in them belongs to which part of it."""

    def __init__(self, content: Content, document: Document) -> None:
        self.pages = document.pages
        self._numbers = {id(element): number for number, element in enumerate(content.elements)}
        self._images: list[tuple[int, Any]] = []
        self._lines: list[_Line] = []
        found: defaultdict[int | None, list[tuple[_Line, Any]]] = defaultdict(list)
        for page in self.pages:
            self._look_over(page._page_box, found)
        changeable: set[int] = set()
        by_owner: defaultdict[int | None, list[int]] = defaultdict(list)
        for number, owner in enumerate(content.owners):
            by_owner[owner].append(number)
        for owner, numbers in by_owner.items():
            changeable |= self._match(content, numbers, found[owner], everywhere=owner is None)
        self._lines = [line for line in self._lines if line.texts]
        for line in self._lines:
            line.shown = [(content.texts[text.number], text.path) for text in line.texts]
        self.fixed = tuple(
            (number, text) for number, text in enumerate(content.texts) if number not in changeable
        )
        self.styles = {text.path: text.box.style for line in self._lines for text in line.texts if text.path}

    def _look_over(self, box: Any, found: dict[int | None, list[tuple[_Line, Any]]]) -> None:
        """Gather pictures and lines with their text boxes, by the number of their element.

        Not those of headings, whose text is the PDF's table of contents, too, nor those in boxes that are as
        wide as their words.
        """
        for child in getattr(box, "children", ()):
            if child.bookmark_label or _is_as_wide_as_its_words(child):
                continue
            if isinstance(child, boxes.LineBox):
                line = _Line(child, box)
                self._lines.append(line)
                for text_box in _text_boxes(child):
                    number = self._numbers.get(id(text_box.element))
                    if text_box.text.strip(_BLANK):
                        found[number].append((line, text_box))
            elif isinstance(child, boxes.ReplacedBox) and id(child.element) in self._numbers:
                self._images.append((self._numbers[id(child.element)], child))
            self._look_over(child, found)

    def _match(
        self, content: Content, numbers: list[int], found: list[tuple[_Line, Any]], *, everywhere: bool
    ) -> set[int]:
        """Which of an element's texts lie in one text box each; these are added to their lines.

        With `everywhere` the text is an attribute's, and lies once in the margins of every page.
        """
        if everywhere:
            pairs = [
                (number, line, box)
                for number in numbers
                for line, box in found
                if box.text == content.texts[number]
            ]
            if len(numbers) != 1 or len(pairs) != len(self.pages):
                return set()
        elif len(found) != len(numbers):
            return set()
        else:
            pairs = [(number, line, box) for number, (line, box) in zip(numbers, found, strict=True)]
        texts = [
            (line, _Text(number, box, _collapsed(box, content.texts[number]), content.paths[number]))
            for number, line, box in pairs
        ]
        if not all(text.is_whole for _, text in texts):
            return set()
        for line, text in texts:
            line.texts.append(text)
        return set(numbers)

    def has_fixed(self, texts: Sequence[str]) -> bool:
        """Whether the texts that cannot be exchanged are these."""
        return all(texts[number] == text for number, text in self.fixed)

    def fill(self, content: Content, page: HTML, words: _Words) -> None:
        """Make it the layout of another page with the same outline and `fixed` texts.

        Raises:
            DoesNotFitError: it would not be the same as from scratch. It can be filled again all the same.
        """
        cache: dict[str, Any] = {}
        for number, box in self._images:
            element = content.elements[number]
            if element.tag == SVG:
                if not _same(element, box.element):
                    old = box.replacement
                    box.replacement = SVGImage(element, old._base_url, page.url_fetcher, old._context)
                    box.element = element
                continue
            orientation = box.style["image_orientation"]
            url = element.get("src", "")
            image = get_image_from_uri(cache, page.url_fetcher, DEFAULT_OPTIONS, url, orientation=orientation)
            if image is None or not _same_size(image, box.replacement):
                raise DoesNotFitError
            box.replacement = image
        for line in self._lines:
            line.fill(content, words)


def _is_as_wide_as_its_words(box: Any) -> bool:
    """Whether what stands in a box, and not what stands around it, may decide on its width."""
    if isinstance(box, boxes.TableBox):
        return bool(box.style["table_layout"] != "fixed" or box.style["width"] == "auto")
    in_flow = isinstance(box, boxes.BlockLevelBox) and box.is_in_normal_flow()
    is_inline = isinstance(box, boxes.LineBox | boxes.InlineBox | boxes.TextBox | boxes.ReplacedBox)
    is_of_table = isinstance(box, boxes.TableRowGroupBox | boxes.TableRowBox | boxes.TableCellBox)
    return not (in_flow or is_inline or is_of_table) and bool(box.style["width"] == "auto")


def _text_boxes(box: Any) -> Iterator[Any]:
    """Those of a line, but not of blocks within it."""
    for child in box.children:
        if isinstance(child, boxes.TextBox):
            yield child
        elif isinstance(child, boxes.InlineBox):
            yield from _text_boxes(child)


def _same_size(one: Any, other: Any) -> bool:
    return bool(one.get_intrinsic_size(1, 16) == other.get_intrinsic_size(1, 16))


def _same(one: Element, other: Element) -> bool:
    """Whether two elements are the same throughout."""
    return (
        one.tag == other.tag
        and one.attrib == other.attrib
        and one.text == other.text
        and len(one) == len(other)
        and all(_same(a, b) and a.tail == b.tail for a, b in zip(one, other, strict=True))
    )
