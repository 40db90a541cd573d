"""Payloads in every text of a header, in file names and in labels: data in every output of the night."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from cxrbatch.evaluation.tables import read_probabilities

SCRIPT = "<script>document.title='OWNED';alert(1)</script>"
IMAGE = "\"'><img src=x onerror=alert(1)>"
TEMPLATE = "{{ 7*7 }}{% raw %}${7*7}"
FORMULA = "=cmd|'/C calc'!A0"
PLUS, MINUS, AT = "+1+cmd|' /C calc'!A0", "-1+cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\n12:00:00 forged line"
UID = "../../../../tmp/owned"
PAYLOADS = (
    SCRIPT,
    IMAGE,
    TEMPLATE,
    FORMULA,
    PLUS,
    MINUS,
    AT,
    "</title><svg/onload=alert(1)>",
    "'=1+1",
    "\t=1+1",
)

_TEXT_LIST = """
    StudyDescription SeriesDescription AccessionNumber InstitutionName Manufacturer ManufacturerModelName
    PatientID PatientName ReferringPhysicianName OperatorsName StationName ProtocolName ImageComments
    StudyID PatientComments SoftwareVersions BodyPartExamined
"""
TEXTS = _TEXT_LIST.split()


@pytest.fixture(scope="module")
def night(
    tmp_path_factory: pytest.TempPathFactory,
    write_film: Callable[..., Path],
    score_night: Callable[..., Any],
) -> Any:
    """A night of films each of which bears one payload in every text, and labels with payloads in them."""
    inbox = tmp_path_factory.mktemp("inbox")
    names = []
    for number, payload in enumerate(PAYLOADS):
        texts = dict.fromkeys(TEXTS, payload) | {
            "PatientName": f"{payload}^{ESCAPES}",
            "BodyPartExamined": "",
        }
        name = re.sub("[/\t]", "_", payload)[:60] + f"-{number}.dcm"
        names.append(name)
        film = write_film(
            inbox / "film",
            uid=f"1.2.826.0.1.3680043.8.498.{number}",
            PatientSex="M",
            StudyDate="20260101",
            **texts,
        )
        film.rename(inbox / name)
    evil_uid = write_film(inbox / "uids.dcm", PatientID="uids", AccessionNumber="x")
    data = evil_uid.read_bytes()
    for number in (1, 3):  # study and image UID
        old = f"1.2.826.0.1.3680043.8.498.7.{number}".encode()
        data = data.replace(old, UID.encode().ljust(len(old), b"\0"))
    evil_uid.write_bytes(data)
    labels = inbox.parent / "labels.csv"
    with labels.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "Effusion", "site", SCRIPT])
        for number, name in enumerate(names):
            table.writerow([name, number % 2, FORMULA if number % 2 else IMAGE, "text"])
    return score_night(
        inbox, tmp_path_factory.mktemp("out") / "run", "--labels", str(labels), "--workers", "2"
    )


class Elements(HTMLParser):
    """Tags with their attributes, and the text outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def pages(night: Any) -> dict[Path, Elements]:
    found = {}
    for path in sorted(night.run.rglob("*.html")):
        found[path] = Elements()
        found[path].feed(path.read_text("utf-8"))
    return found


def test_every_film_is_scored_and_nothing_was_written_elsewhere(night: Any) -> None:
    assert night.exit_code == 0, night.stderr
    assert len(night.rows("scores.csv")) == len(PAYLOADS) + 1
    assert not Path("/tmp/owned").exists()
    names = [path.name for path in (night.run / "reports").iterdir()]
    assert len(names) == len(PAYLOADS) + 1
    assert [name for name in names if not re.fullmatch("[0-9a-f]{20}", name)] == []


def test_no_page_has_an_element_or_attribute_of_a_payload(night: Any) -> None:
    found = pages(night)
    assert {"index.html", "audit.html", "validation.html", "report.html"} <= {path.name for path in found}
    for path, page in found.items():
        for tag, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on")], (path, tag)
            assert tag not in ("iframe", "object", "embed", "base", "form") or path.name == "index.html"
            assert attributes.get("src", "") != "x"
            link = attributes.get("href") or attributes.get("src") or ""
            assert ":" not in link, (path, link)
        scripts = [tag for tag, _ in page.elements if tag == "script"]
        assert len(scripts) == (path.name == "index.html"), path


def test_payloads_are_shown_as_they_are(night: Any) -> None:
    """They are patients' names as far as anyone knows: neither run nor swallowed, nor evaluated."""
    text = pages(night)[night.run / "index.html"].text
    for payload in (SCRIPT, IMAGE, TEMPLATE, FORMULA):
        assert payload in text


def test_every_page_has_a_policy_that_lets_nothing_in(night: Any) -> None:
    for path, page in pages(night).items():
        policies = [
            a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"
        ]
        assert len(policies) == 1, path
        policy = str(policies[0])
        assert policy.startswith("default-src 'none'; "), path
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "data:" not in policy
        tags = [tag for tag, _ in page.elements]
        # The policy holds for what comes after it.
        first = tags.index("meta", tags.index("meta") + 1)
        assert not {"script", "style", "link", "img"} & set(tags[:first]), path


def test_no_cell_of_any_table_is_a_formula(night: Any) -> None:
    tables = sorted(night.run.rglob("*.csv"))
    assert len(tables) >= 6
    for path in tables:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                for cell in row:
                    number = re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?", cell)
                    assert number or not re.match("[\\s]*[=+\\-@]", cell), (path, cell)


def test_tables_are_read_back_to_what_the_header_said(night: Any) -> None:
    read = read_probabilities(night.run / "scores.csv")
    assert read.patient_ids is not None
    assert set(read.patient_ids) == {*(payload.strip() for payload in PAYLOADS), "uids"}


def test_pdfs_hold_no_script_no_link_and_no_header_in_their_metadata(night: Any) -> None:
    paths = sorted(night.run.rglob("*.pdf"))
    assert len(paths) == len(PAYLOADS) + 1 + 2
    for path in paths:
        raw = path.read_bytes()
        for name in (b"/JavaScript", b"/JS", b"/Launch", b"/OpenAction", b"/URI", b"/EmbeddedFile"):
            assert name not in raw, (path, name)
        reader = PdfReader(path)
        told = " ".join(str(value) for value in (reader.metadata or {}).values())
        assert not re.search("alert|cmd|OWNED|7\\*7", told), (path, told)


def test_messages_and_logs_are_lines_of_ours(night: Any) -> None:
    assert "\x1b" not in night.stderr
    assert "forged" not in night.stderr
    for line in (night.run / "audit.jsonl").read_text("utf-8").splitlines():
        json.loads(line)
        assert line.isprintable()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                     "--disable-background-networking", "--disable-dev-shm-usage"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver")))
    )
    yield driver
    driver.quit()


@pytest.mark.browser
def test_in_a_browser_nothing_runs_and_nothing_is_fetched(night: Any, browser: Any) -> None:
    from selenium.common.exceptions import NoAlertPresentException

    for path in pages(night):
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(path.as_uri())
        with pytest.raises(NoAlertPresentException):
            browser.switch_to.alert.accept()
        assert browser.title != "OWNED"
        assert browser.get_log("browser") == [], path
        messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = [
            m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"
        ]
        assert asked
        assert [url for url in asked if not url.startswith(night.run.as_uri())] == [], path
