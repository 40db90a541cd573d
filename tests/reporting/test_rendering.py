"""Templates: a site's own override ours file by file; what is written is clean UTF-8."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from cxrbatch.reporting.rendering import render, templates, to_bytes
from cxrbatch.resources import shipped_folder


def test_a_sites_template_is_taken_before_ours_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "report.css").write_text("p { color: teal }", encoding="utf-8")
    ours, theirs = templates(None), templates(tmp_path)
    assert theirs.from_string("{{ style('report.css') }}").render() == "p { color: teal }"
    shipped = (shipped_folder("templates") / "worklist.css").read_text(encoding="utf-8")
    assert theirs.from_string("{{ style('worklist.css') }}").render() == shipped
    assert "teal" not in ours.from_string("{{ style('report.css') }}").render()


def test_a_missing_folder_of_templates_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        templates(tmp_path / "nowhere")


def test_a_misspelt_variable_in_a_sites_template_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ pateint }}", encoding="utf-8")
    with pytest.raises(UndefinedError, match="pateint"):
        render(tmp_path, "page.html", patient="x")


def test_every_template_escapes_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "odd.name").write_text("{{ value }}", encoding="utf-8")
    assert render(tmp_path, "odd.name", value="<b>\"'&") == "&lt;b&gt;&#34;&#39;&amp;"


def test_bytes_of_a_path_that_are_no_utf8_are_percent_encoded() -> None:
    path = b"/inbox/caf\xe9.dcm".decode("utf-8", errors="surrogateescape")
    assert to_bytes(path) == b"/inbox/caf%E9.dcm"
    assert to_bytes("\ud800") == b"?"


def test_controls_and_bidi_overrides_are_left_out() -> None:
    assert to_bytes("a\x00b\x1bc\u202edcba\u2066\n\té").decode() == "abcdcba\n\té"
