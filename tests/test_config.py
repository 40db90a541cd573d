"""cxrbatch.toml: every error names file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cxrbatch.bundles.bundle import open_bundle
from cxrbatch.config import ConfigError, SiteConfig, load_config
from cxrbatch.reporting.content import PageSize
from cxrbatch.request import RequestError, reports_for


def _write(folder: Path, text: str) -> Path:
    path = folder / "cxrbatch.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_everything_is_at_its_default() -> None:
    assert load_config(None) == SiteConfig()


def test_what_the_file_says_reaches_the_reports(tmp_path: Path) -> None:
    Image.new("L", (40, 20)).save(tmp_path / "logo.png")
    path = _write(
        tmp_path,
        '[hospital]\nname = "St. Ελένη"\nlogo = "logo.png"\n'
        '[report]\npage_size = "Letter"\nacute = ["Mass"]\nformats = "html"\n',
    )
    settings = load_config(path).report_settings(findings="all")
    assert settings.hospital == "St. Ελένη"
    assert settings.logo == tmp_path / "logo.png"
    assert settings.page_size is PageSize.LETTER
    assert (settings.html, settings.pdf) == (True, False)
    assert (settings.acute, settings.findings) == (("Mass",), "all")


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ('[hospital]\nname = "x"\ntown = "y"\n', 3, "hospital.town", "is not known"),
        ("# c\n\n[scores]\nworkers = 1\n", 3, "scores", "is not known"),
        ("[score]\nworkers = 0\n", 2, "score.workers", "greater than 0"),
        ('[report]\nacute = ["a"]\npage_size = "A3"\n', 3, "report.page_size", "'A4' or 'Letter'"),
        ('[score]\nbatch_size = "four"\n', 2, "score.batch_size", "'four'"),
        ('[hospital]\nname = "x"\nlogo = "gone.png"\n', 3, "hospital.logo", "no file"),
        ('[report]\ntemplates = "gone"\n', 2, "report.templates", "no folder"),
        ('[report]\nacute = "Edema"\n', 2, "report.acute", "must be a list"),
        ("[hospital]\nlogo = 5\n", 2, "hospital.logo", "a path in quotes"),
        ("score = 3\n", 1, "score", "must be a table"),
        ("[score]\nsettle = inf\n", 2, "score.settle", "finite"),
        ("[score]\nthreads = true\n", 2, "score.threads", "must be a number. Received: true."),
        ("[train]\nepochs = true\n", 2, "train.epochs", "must be a number. Received: true."),
        ("[score]\nsettle = true\n", 2, "score.settle", "must be a number. Received: true."),
    ],
)
def test_mistake_is_named_with_its_place(tmp_path: Path, text: str, line: int, key: str, says: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}, key '{key}':")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["[hospital\n", 'name = "unclosed\n', "a = 1\na = 2\n"])
def test_broken_toml_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no valid TOML: .*(line \d|end of document)"):
        load_config(_write(tmp_path, text))


def test_logo_that_is_no_picture_is_found_before_the_night(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"png")
    with pytest.raises(ConfigError, match=r"line 2, key 'hospital\.logo': .* is no PNG or JPEG"):
        load_config(_write(tmp_path, '[hospital]\nlogo = "logo.png"\n'))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read"):
        load_config(tmp_path / "nothing.toml")


def test_file_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes('[hospital]\nname = "Söder"\n'.encode("latin-1"))
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config(path)


@pytest.mark.parametrize("key", ["findings", "acute"])
def test_finding_that_the_model_does_not_have_is_named_with_its_place(tmp_path: Path, key: str) -> None:
    value = '"Nonsense"' if key == "findings" else '["Nonsense"]'
    path = _write(tmp_path, f"[report]\n{key} = {value}\n")
    card = open_bundle("cxr-lite").card
    with pytest.raises(RequestError) as caught:
        reports_for(load_config(path).report_settings(), card)
    assert str(caught.value).startswith(f"{path}, line 2, key 'report.{key}': No such finding: 'Nonsense'.")


def test_run_rendered_again_keeps_what_it_was_begun_with_unless_told_otherwise(tmp_path: Path) -> None:
    begun = {"acute": ["Mass"], "report_findings": "top:4"}
    again = load_config(None).report_settings(begun_with=begun)
    assert (again.acute, again.findings) == (("Mass",), "top:4")
    site = load_config(_write(tmp_path, '[report]\nacute = ["Edema"]\n'))
    told = site.report_settings(findings="all", begun_with=begun)
    assert (told.acute, told.findings) == (("Edema",), "all")
