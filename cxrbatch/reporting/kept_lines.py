"""Lines that were drawn twice are drawn from memory: most words of a report are those of the last one.

WeasyPrint lays out a document to be drawn once, so drawing a line has Pango shape its text anew, glyph by
glyph: a quarter of a report's processor time (docs/performance.md). In a kept layout (`kept_layouts`) most
lines stay. Of those it is noted which strings of glyphs were shown in which fonts, and these are shown again.

The PDF is the same, byte for byte. A document notes a glyph's width and meaning where it is first shown, and
spacing is measured against that width; so a line is drawn from memory only where the document has the same
widths so far, or where this line was the first to show the glyph before, too. Glyphs that no font has,
pictures of glyphs (emoji), lines that end in an ellipsis and decorated ones are never drawn from memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from weasyprint import draw
from weasyprint.draw.text import draw_emojis, draw_first_line, draw_text
from weasyprint.matrix import Matrix

_GLYPHS = re.compile("<([0-9a-f]*)>")


@dataclass(slots=True)
class _UsedFont:
    """What a line needs of a font: `widths` by glyph, as they were when the line was drawn.

    `first_widths` and `first_texts` are what this line was the first in its document to need.
    """

    pango_font: Any
    widths: dict[int, int]
    first_widths: dict[int, int]
    first_texts: dict[int, str]

    def suits(self, font: Any) -> bool:
        """Whether the line would be drawn alike in a document with this font."""
        if self.widths.items() <= font.widths.items() and self.widths.keys() <= font.to_unicode.keys():
            return True
        return all(
            font.widths.get(glyph, self.first_widths.get(glyph)) == width
            and (glyph in font.to_unicode or glyph in self.first_texts)
            for glyph, width in self.widths.items()
        )

    def add_to(self, font: Any) -> None:
        """Note in the document's font what the line is the first to need."""
        for glyph, width in self.first_widths.items():
            font.widths.setdefault(glyph, width)
        for glyph, text in self.first_texts.items():
            font.to_unicode.setdefault(glyph, text)


@dataclass(slots=True)
class _Line:
    """The calls of a stream's methods that draw a line; `pango_layout` keeps Pango's fonts in memory."""

    pango_layout: Any
    fonts: list[_UsedFont]
    calls: list[tuple[str, tuple[Any, ...]]]

    def draw(self, stream: Any, matrix: Matrix) -> bool:
        """Draw it; False where it has to be shaped, and nothing was drawn."""
        pairs = [(used, stream.add_font(used.pango_font)[0]) for used in self.fonts]
        if not all(used.suits(font) for used, font in pairs):
            return False
        for used, font in pairs:
            used.add_to(font)
        if self.calls:  # of a line of spaces nothing is shown
            stream.set_text_matrix(*matrix.values)
        for name, arguments in self.calls:
            getattr(stream, name)(*arguments)
        return True


class _Recorder:
    """Stands between WeasyPrint and a stream while a line is drawn, and notes what is done."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.ink_rect, self.logical_rect = stream.ink_rect, stream.logical_rect
        self._fonts: dict[int, _SeenFont] = {}
        self._added: _SeenFont | None = None
        self._shown_in: _SeenFont | None = None
        self._calls: list[tuple[str, tuple[Any, ...]]] = []

    def add_font(self, pango_font: Any) -> tuple[Any, float]:
        font, size = self._stream.add_font(pango_font)
        if id(font) not in self._fonts:
            self._fonts[id(font)] = _SeenFont(pango_font, font, set(font.widths), set(font.to_unicode))
        self._added = self._fonts[id(font)]
        return font, size

    def set_text_matrix(self, *values: float) -> None:
        self._stream.set_text_matrix(*values)  # says where the line stands: not noted

    def set_font_size(self, name: str, size: float) -> None:
        self._shown_in = self._added
        self._do("set_font_size", name, size)

    def set_text_rise(self, height: float) -> None:
        self._do("set_text_rise", height)

    def show_text(self, text: str) -> None:
        if self._shown_in is not None:
            for run in _GLYPHS.findall(text):
                self._shown_in.glyphs += (int(run[i : i + 4], 16) for i in range(0, len(run), 4))
        self._do("show_text", text)

    def _do(self, name: str, *arguments: Any) -> None:
        self._calls.append((name, arguments))
        getattr(self._stream, name)(*arguments)

    def line(self, pango_layout: Any) -> _Line | None:
        """What was drawn; None where it may not be drawn from memory."""
        fonts = [seen.used() for seen in self._fonts.values()]
        known = [used for used in fonts if used is not None]
        return _Line(pango_layout, known, self._calls) if len(known) == len(fonts) else None


@dataclass(slots=True)
class _SeenFont:
    """A document's font while a line is drawn, with the glyphs of the line and those known before it."""

    pango_font: Any
    font: Any
    widths_before: set[int]
    texts_before: set[int]
    glyphs: list[int] = field(default_factory=list)

    def used(self) -> _UsedFont | None:
        font = self.font
        has_pictures = font.bitmap or font.png or font.svg or font.colr
        if has_pictures or max(self.glyphs, default=0) >= font.glyph_count:  # no glyph of the font's own
            return None
        widths = {glyph: font.widths[glyph] for glyph in self.glyphs}
        return _UsedFont(
            self.pango_font,
            widths,
            {glyph: width for glyph, width in widths.items() if glyph not in self.widths_before},
            {glyph: font.to_unicode[glyph] for glyph in widths if glyph not in self.texts_before},
        )


def _draw_text(
    stream: Any, box: Any, offset_x: float, text_overflow: str = "clip", block_ellipsis: str = "none"
) -> None:
    """WeasyPrint's ``draw_text``, from memory where it can be.

    What is remembered hangs on the box's Pango layout, which is another one as soon as the text is.
    """
    layout, style = box.pango_layout, box.style
    layout.times_drawn = getattr(layout, "times_drawn", 0) + 1
    is_cut = text_overflow != "clip" or block_ellipsis != "none"
    is_plain = style["text_decoration_line"] == "none" and style["visibility"] == "visible"
    if layout.times_drawn == 1 or is_cut or not is_plain:
        draw_text(stream, box, offset_x, text_overflow, block_ellipsis)
        return
    x, y = box.position_x, box.position_y + box.baseline
    matrix, emojis = Matrix(d=-1, e=x, f=y), []
    stream.set_color(style["color"])
    stream.begin_text()
    line: _Line | None = getattr(layout, "line", None)
    if line is None or not line.draw(stream, matrix):
        layout.reactivate(style)
        recorder = _Recorder(stream)
        emojis = draw_first_line(recorder, box, text_overflow, block_ellipsis, matrix)
        layout.line = None if emojis else recorder.line(layout.layout)
        layout.deactivate()
    stream.end_text()
    draw_emojis(stream, style, x, y, emojis)


def remember_lines() -> None:
    """From now on WeasyPrint draws lines in this process from memory where it can."""
    draw.draw_text = _draw_text
