"""A page from a kept layout is the one that WeasyPrint lays out from scratch, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import weasyprint.draw.text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from weasyprint import CSS, HTML, Document
from weasyprint.text.fonts import FontConfiguration

from cxrbatch.bundles.card import Card
from cxrbatch.intake.records import Patient, View
from cxrbatch.ledger.records import StudyRecord
from cxrbatch.reporting import kept_layouts as module
from cxrbatch.reporting import kept_lines
from cxrbatch.reporting import pdf as pdf_module
from cxrbatch.reporting.content import PageSize, ReportSettings, RunFacts
from cxrbatch.reporting.kept_layouts import KeptLayouts
from cxrbatch.reporting.page_tree import parse_page
from cxrbatch.reporting.pdf import PictureFetcher
from cxrbatch.reporting.study_report import render_study

MakeStudy = Callable[..., StudyRecord]
SETTINGS = ReportSettings(findings="top:2", html=False)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """A process that has printed nothing yet, and leaves nothing to the next test."""
    pdf_module._kept_layouts.cache_clear()
    yield
    pdf_module._kept_layouts.cache_clear()


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[HTML]:
    """The pages that were laid out from scratch."""
    pages: list[HTML] = []
    render = HTML.render

    def counted(self: HTML, *args: Any, **options: Any) -> Document:
        pages.append(self)
        return render(self, *args, **options)

    monkeypatch.setattr(HTML, "render", counted)
    return pages


def printed(run: Path, study: StudyRecord, facts: RunFacts, report: ReportSettings = SETTINGS) -> bytes:
    render_study(run, study, facts, report)
    return (run / "reports" / study.key / "report.pdf").read_bytes()


def from_scratch(run: Path, study: StudyRecord, facts: RunFacts, report: ReportSettings = SETTINGS) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KeptLayouts, "document", lambda self, page, lay_out: lay_out(page))
        return printed(run, study, facts, report)


def test_a_second_study_is_not_laid_out_and_comes_out_the_same(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, laid_out: list[HTML]
) -> None:
    studies = [
        make_study("1a"),
        make_study(
            "2b",
            patient=Patient(id="4711", name="Nobody^Somebody Else", sex="M", age="007Y"),
            probabilities=((0.1, 0.05, 0.9, 0.7, 0.02),),  # other findings above threshold, in another order
            view=View.AP,
            path="/inbox/a longer name of a file 0001.dcm",
            accession="",
            study_date="19991231",
        ),
        make_study("1a"),
    ]
    ours = [printed(tmp_path, studies[0], facts)]
    first = len(laid_out)
    ours += [printed(tmp_path, study, facts) for study in studies[1:]]
    assert len(laid_out) == first  # or nothing was tested
    assert ours == [from_scratch(tmp_path, study, facts) for study in studies]
    assert ours[0] == ours[2] != ours[1]


NAMES = st.one_of(
    st.sampled_from(
        [
            "Doe^Jane",
            "山田^太郎",
            "ישראל^ישראלי",
            "محمد^علي",
            "e\u0301^\u200dx",
            "A" * 64 + "^" + "B" * 64,
            "W^i W i W i W i W i W i W i W i W i W i W i W i W",
            "\N{PILE OF POO}",
            "a\u00a0b^\u00ad-\u2028x",
            "",
        ]
    ),
    st.text(max_size=40),
)
LINES = st.one_of(
    st.sampled_from(["A note.", "Another note.", "A long note. " * 20, " b ", "山"]), st.text(max_size=60)
)
PROBABILITY = st.floats(1e-4, 1 - 1e-4)


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """What `make_study` is called with."""
    one = st.tuples(*[PROBABILITY] * 5)
    return {
        "patient": Patient(
            id=draw(st.text(max_size=20)),
            name=draw(NAMES),
            sex=draw(st.sampled_from(["M", "F", ""])),
            age=draw(st.sampled_from(["061Y", "003M", ""])),
        ),
        "probabilities": tuple(draw(st.lists(one, min_size=1, max_size=draw(st.sampled_from([1, 1, 2]))))),
        "notes": tuple(draw(st.lists(LINES, max_size=2))),
        "view": draw(st.sampled_from([View.PA, View.AP, View.UNKNOWN])),
        "path": "/inbox/" + draw(st.sampled_from(["a.dcm", "x" * 90 + ".dcm", "ä é.png", "<b>&.dcm"])),
        "accession": draw(st.text(max_size=16)),
        "shape": draw(st.sampled_from([(400, 300), (400, 300), (300, 400)])),
        "with_maps": draw(st.sampled_from([True, True, False])),
    }


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    nights=st.lists(studies(), min_size=2, max_size=5), size=st.sampled_from(PageSize), curves=st.booleans()
)
def test_whatever_the_studies_hold_their_pdfs_are_those_from_scratch(
    tmp_path: Path,
    make_study: MakeStudy,
    card: Card,
    calibrated_card: Card,
    new_facts: Callable[[Card], RunFacts],
    nights: list[dict[str, Any]],
    size: PageSize,
    curves: bool,
) -> None:
    facts = new_facts(calibrated_card if curves else card)
    report = replace(SETTINGS, page_size=size)
    night = [make_study(f"{number:x}", **content) for number, content in enumerate(nights)]
    expected = [from_scratch(tmp_path, study, facts, report) for study in night]
    for _ in range(3):  # in the second all texts are exchanged once more, in the third lines come from memory
        assert [printed(tmp_path, study, facts, report) for study in night] == expected


STYLE = """
@page { size: 300px 400px; margin: 10px }
@page { @bottom-left { content: string(who); white-space: pre-wrap; width: 100% } }
html { font: 10px/1.4 "DejaVu Sans" } p, div, h1 { margin: 0 }
.who { string-set: who attr(data-who); height: 0 }
.pre { white-space: pre; tab-size: 60px } .right { text-align: right } .rtl { direction: rtl }
.narrow { width: 60px } .above { font-weight: bold } .large { font-size: 20px }
.cut { overflow: hidden; text-overflow: ellipsis; white-space: nowrap } .under { text-decoration: underline }
.hidden { visibility: hidden } .small { font-size: 6.7px } .spaced { letter-spacing: 1px; word-spacing: 2px }
.fixed { table-layout: fixed; width: 100% } u { display: inline-block } .left { float: left }
"""


class Pages:
    """Small pages through kept layouts, and which of them were laid out from scratch."""

    def __init__(self) -> None:
        self.fonts = FontConfiguration()
        self.sheets = [CSS(string=STYLE, font_config=self.fonts)]
        self.kept = KeptLayouts(self.fonts)
        self.from_scratch = 0

    def lay_out(self, page: HTML) -> Document:
        self.from_scratch += 1
        return page.render(font_config=self.fonts, stylesheets=self.sheets)

    def pdf(self, body: str, pictures: dict[str, bytes] | None = None) -> bytes:
        def tree() -> HTML:
            page = f"<html><head><title>x</title></head><body>{body}</body></html>".encode()
            return parse_page(page, PictureFetcher(pictures or {}), None, ours=True)

        result: bytes = self.kept.document(tree(), self.lay_out).write_pdf()
        expected = tree().render(font_config=self.fonts, stylesheets=self.sheets).write_pdf()
        assert result == expected
        return result


def changes(bodies: Sequence[str], pages: Pages | None = None) -> int:
    """How many of the pages after the first were laid out from scratch."""
    pages = pages or Pages()
    pages.pdf(bodies[0])
    before = pages.from_scratch
    for body in bodies[1:]:
        pages.pdf(body)
    return pages.from_scratch - before


@pytest.mark.parametrize(
    "bodies",
    [
        ("<p>one</p>", "<p>another</p>"),
        (
            "<table class='fixed'><tr><td>one</td></tr></table>",
            "<table class='fixed'><tr><td>another</td></tr></table>",
        ),
        ("<p> one\n</p>", "<p>\tanother  one </p>"),
        ("<p>a <b>b</b> c</p>", "<p>longer <b>and bold</b> and more</p>"),
        ("<p>a <b>b <i>c</i></b> d</p>", "<p>aa <b>bb <i>cc</i></b> dd</p>"),
        ("<p><b>b</b> c\n<br/></p>", "<p><b>bbb</b> ccc\n<br/></p>"),
        ("<p class='pre'>a\tb\tc</p>", "<p class='pre'>aaa\tbbb\tc</p>"),
        ("<p class='pre'>a</p>", f"<p class='pre'>{'overflows ' * 20}x</p>"),
        ("<p class='above'>a</p><p class='below'>b</p>", "<p class='below'>c</p><p class='above'>d</p>"),
        ("<p class='who' data-who='A'/><p>x</p>", "<p class='who' data-who='Bee'/><p>y</p>"),
        ("<p class='who' data-who='A'/><p>A</p>", "<p class='who' data-who='Bee'/><p>A</p>"),
        (
            "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><path d='M0 0h9v9z'/></svg>",
            "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><path d='M0 0h5v5z'/></svg>",
        ),
    ],
)
def test_words_that_fit_where_others_stood_need_no_new_layout(bodies: tuple[str, ...]) -> None:
    assert changes((*bodies, bodies[0])) == 0


@pytest.mark.parametrize(
    "bodies",
    [
        ("<p>one</p>", "<p>one</p><p>more</p>"),
        ("<p>one</p>", "<p class='large'>one</p>"),
        ("<p>one</p>", f"<p>{'broken into lines ' * 20}</p>"),
        (f"<p>{'broken into lines ' * 20}</p>", "<p>one</p>"),
        ("<p class='narrow'>a <b>b</b></p>", "<p class='narrow'>a <b>fits alone</b></p>"),
        ("<p>one</p>", "<p>山田</p>"),
        ("<p class='right'>one</p>", "<p class='right'>another</p>"),
        ("<p class='rtl'>one</p>", "<p class='rtl'>another</p>"),
        ("<p><b>b</b>c</p>", "<p><b>b</b> c</p>"),
        ("<p>one<b/></p>", "<p>one<b>two</b></p>"),
        ("<h1>In the contents</h1>", "<h1>Another</h1>"),
        ("<table><tr><td>as wide as it is</td></tr></table>", "<table><tr><td>wide</td></tr></table>"),
        ("<p><u>as wide as it is</u></p>", "<p><u>wide</u></p>"),
        ("<div class='left'>as wide as it is</div><p>x</p>", "<div class='left'>wide</div><p>x</p>"),
        ("<p class='below'>b</p>", "<p class='above'>never seen so far</p>"),
        (
            f"<p class='who' data-who='A'/>{'<p>x</p>' * 40}",
            f"<p class='who' data-who='{'A ' * 200}'/>{'<p>x</p>' * 40}",
        ),
    ],
)
def test_what_could_move_something_is_laid_out_from_scratch(bodies: tuple[str, ...]) -> None:
    assert changes(bodies) == 1


@pytest.fixture
def shaped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of kept layouts that were shaped to be drawn."""
    lines: list[str] = []

    def drawn(name: str) -> Callable[..., Any]:
        original = getattr(kept_lines, name)

        def draw(stream: Any, box: Any, *args: Any) -> Any:
            if box.pango_layout.times_drawn > 1 or name == "draw_first_line":
                lines.append(box.text)
            return original(stream, box, *args)

        return draw

    for name in ("draw_text", "draw_first_line"):
        monkeypatch.setattr(kept_lines, name, drawn(name))
    return lines


def test_a_line_that_was_drawn_twice_is_drawn_from_memory(shaped: list[str]) -> None:
    pages = Pages()
    bodies = [f"<p>This stays <b>and this</b></p><p>{words}</p><p> <b>\u00a0</b></p>" for words in "abc"]
    for body in (bodies[0], bodies[1]):
        pages.pdf(body)
    shaped.clear()
    pages.pdf(bodies[2])
    assert shaped == []  # but what was new, which was shaped where it was put into the page
    for body in bodies * 2:
        pages.pdf(body)
    shaped.clear()
    for body in bodies:
        pages.pdf(body)
    assert shaped == []
    assert pages.from_scratch == 1


@pytest.mark.parametrize("named", ["cut", "under", "hidden"])
def test_a_line_that_is_more_than_its_glyphs_is_never_drawn_from_memory(
    shaped: list[str], named: str
) -> None:
    pages, words = Pages(), "overflows" * 20
    for _ in range(4):
        shaped.clear()
        pages.pdf(f"<p class='{named}'>{words}</p><p>x</p>")
    assert shaped == [words]


def test_a_glyph_that_no_font_has_is_never_drawn_from_memory(shaped: list[str]) -> None:
    pages, body = Pages(), "<p>a \U0010fff0 b</p><p>x</p>"
    for _ in range(4):
        shaped.clear()
        pages.pdf(body)
    assert shaped == ["a \U0010fff0 b"]


def test_a_picture_for_a_glyph_is_drawn_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a font of emoji, of which this machine need not have one."""
    drawn: list[str] = []
    original = kept_lines.draw_first_line

    def with_picture(stream: Any, box: Any, *args: Any) -> list[Any]:
        def draw(*_: Any) -> None:
            drawn.append(box.text)

        return [*original(stream, box, *args), (SimpleNamespace(draw=draw), None, 1, 1, 0, 0)]

    for place in (kept_lines, weasyprint.draw.text):
        monkeypatch.setattr(place, "draw_first_line", with_picture)
    kept = Pages()
    page = b"<html><head><title>x</title></head><body><p>one</p></body></html>"
    for _ in range(4):
        tree = parse_page(page, PictureFetcher({}), None, ours=True)
        kept.kept.document(tree, kept.lay_out).write_pdf()
    assert drawn == ["one"] * 4


WORDS = st.text("aeWi fl-\u00a0é.0", min_size=1, max_size=6)
CLASSES = st.sampled_from(["x", "small", "large", "above", "spaced", "pre", "rtl"])


@settings(max_examples=40, deadline=None)
@given(
    classes=st.lists(CLASSES, min_size=2, max_size=4),
    words=st.lists(st.lists(WORDS, min_size=4, max_size=4), min_size=1, max_size=4),
)
def test_whichever_line_is_the_first_to_show_a_glyph_the_pdf_is_the_same(
    classes: list[str], words: list[list[str]]
) -> None:
    """A document's fonts note a glyph's width and text where it is first shown; that may be another line."""
    bodies = [
        "".join(f"<p class='{name}'>{text}</p>" for name, text in zip(classes, texts, strict=False))
        for texts in words
    ]
    changes([*bodies * 3, *reversed(bodies)])


@pytest.mark.parametrize(
    ("widths", "texts", "suits"),
    [
        ({1: 600, 2: 550, 9: 1}, {1: "a", 2: "b", 9: "c"}, True),
        ({1: 601, 2: 550}, {1: "a", 2: "b"}, False),  # the glyphs' spacing would be another
        ({2: 550}, {2: "b"}, True),  # as before, the line is the first to show this glyph
        ({1: 600}, {1: "a"}, False),  # before, another line had shown it: how wide it would be is not known
        ({1: 600, 2: 550}, {1: "a"}, False),
        ({1: 600, 2: 550}, {2: "b"}, True),
    ],
)
def test_a_line_suits_a_document_in_which_its_glyphs_are_as_wide(
    widths: dict[int, int], texts: dict[int, str], suits: bool
) -> None:
    line = kept_lines._UsedFont(None, {1: 600, 2: 550}, first_widths={1: 600}, first_texts={1: "a"})
    font = SimpleNamespace(widths=widths, to_unicode=texts)
    assert line.suits(font) is suits
    if suits:
        line.add_to(font)
        assert font.widths.items() >= line.widths.items()
        assert font.to_unicode[1] == "a"


def test_no_more_shaped_words_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Words, "MOST", 3)
    pages = Pages()
    assert changes([f"<p>{words}</p>" for words in "abcdefab"], pages) == 0
    assert [words for _, words, _ in pages.kept._words._shaped] == ["f", "a", "b"]


def test_pictures_are_exchanged_where_they_are_of_one_size(jpeg: Callable[[int, int, int], bytes]) -> None:
    pages, body = Pages(), "<img src='picture:a.jpg' alt='x'/>"
    small = pages.pdf(body, {"a.jpg": jpeg(40, 20, 200)})
    other = pages.pdf(body, {"a.jpg": jpeg(40, 20, 10)})
    assert pages.from_scratch == 1
    assert small != other
    pages.pdf(body, {"a.jpg": jpeg(20, 40, 10)})
    assert pages.from_scratch == 2


def test_a_page_that_did_not_fit_spoils_nothing() -> None:
    pages = Pages()
    assert changes(("<p>a <b>b</b> c</p><p>d</p>", "<p>aa <b>bb</b> cc</p><p>山</p>"), pages) == 1
    assert changes(("<p>aa <b>bb</b> cc</p><p>d</p>", "<p>aa <b>bb</b> cc</p><p>e</p>"), pages) == 0


def test_no_more_layouts_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeptLayouts, "MOST", 2)
    pages = Pages()
    for body in ("<p>a</p>", "<div>a</div>", "<p>b</p>", "<h1>c</h1>"):
        pages.pdf(body)
    assert len(pages.kept._layouts) == 2
    assert pages.from_scratch == 3
    pages.pdf("<div>the one that was not asked for the longest</div>")
    assert pages.from_scratch == 4


def test_a_page_of_the_site_and_one_that_is_no_xml_are_never_kept(
    tmp_path: Path, make_study: MakeStudy, facts: RunFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module, "read_content", refused)
    (tmp_path / "templates").mkdir()
    printed(tmp_path, make_study(), facts, replace(SETTINGS, templates=tmp_path / "templates"))
    printed(tmp_path, make_study(notes=("\ufffe",)), facts)


@pytest.fixture
def jpeg() -> Callable[[int, int, int], bytes]:
    from io import BytesIO

    from PIL import Image

    def make(width: int, height: int, grey: int) -> bytes:
        data = BytesIO()
        Image.fromarray(np.full((height, width), grey, np.uint8)).save(data, "JPEG")
        return data.getvalue()

    return make
