"""The worklist in a real browser, opened from disk: filter, sort, keyboard, narrow windows, no network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.bundles.card import Card
from cxrbatch.intake.records import Patient, View
from cxrbatch.ledger.records import StudyRecord
from cxrbatch.reporting.content import ReportSettings, RunFacts, WorklistRow
from cxrbatch.reporting.study_report import render_study
from cxrbatch.reporting.worklist import write_worklist

pytestmark = pytest.mark.browser

QUIET = (0.01, 0.01, 0.01, 0.01, 0.01)
NODULE = (0.01, 0.01, 0.01, 0.6, 0.01)
BOTH = (0.9, 0.01, 0.01, 0.3, 0.01)
EVIL = "<script>fetch('http://127.0.0.1:9/x')</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                     "--disable-background-networking", "--disable-dev-shm-usage"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def opened(
    browser: Any,
    tmp_path: Path,
    make_study: Callable[..., StudyRecord],
    new_row: Callable[..., WorklistRow],
    calibrated_card: Card,
    new_facts: Callable[[Card], RunFacts],
) -> Any:
    """The browser with a worklist of four studies: Berta, Carla, Adam and an evil one."""
    card, facts = calibrated_card, new_facts(calibrated_card)
    settings = ReportSettings(findings="flagged", pdf=False)
    studies = [
        make_study("s1", (BOTH,), patient=Patient("1", "Berta^B"), study_date="20260103", view=View.AP),
        make_study("s2", (NODULE,), patient=Patient("2", "Carla^C"), study_date="20260101"),
        make_study("s3", (QUIET,), patient=Patient("3", "Adam^A"), study_date="20260102", notes=("Odd.",)),
        make_study("s4", (QUIET,), patient=Patient("4", EVIL), study_date="20260104"),
    ]
    for study in studies[:3]:
        render_study(tmp_path, study, facts, settings)
    rows = [new_row(study, card, "No disk." if study.key == "s4" else "") for study in studies]
    write_worklist(tmp_path, rows, facts, settings, {})
    browser.set_window_size(1280, 900)
    for log in ("performance", "browser"):
        browser.get_log(log)
    browser.get((tmp_path / "index.html").as_uri())
    return browser


def shown(browser: Any) -> list[str]:
    """Keys of the rows that can be seen, from top to bottom, by the place on the screen."""
    script = """return [...document.querySelectorAll('.row:not(.head)')].filter(r => r.offsetParent !== null)
        .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
        .map(r => 's' + r.dataset.place)"""
    return list(browser.execute_script(script))


def header(browser: Any, key: str) -> Any:
    return browser.find_element("css selector", f"[data-key={key}]")


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def test_all_are_shown_most_urgent_first_with_their_pictures(opened: Any) -> None:
    assert shown(opened) == ["s1", "s2", "s3", "s4"]
    assert header(opened, "place").get_attribute("aria-sort") == "ascending"
    for image in opened.find_elements("css selector", ".thumb img"):
        opened.execute_script("arguments[0].scrollIntoView()", image)
        deadline = time.monotonic() + 5
        while not opened.execute_script("return arguments[0].naturalWidth", image):
            assert time.monotonic() < deadline, image.get_attribute("src")
    assert len(opened.find_elements("css selector", ".thumb img")) == 3


def test_filter_by_finding_and_by_text(opened: Any) -> None:
    from selenium.webdriver.support.select import Select

    select = Select(opened.find_element("id", "finding"))
    for choice, expected in (
        ("Nodule (2)", ["s1", "s2"]),
        ("Effusion (1)", ["s1"]),
        ("nothing above threshold (2)", ["s3", "s4"]),
        ("to check (2)", ["s3", "s4"]),
        ("all studies (4)", ["s1", "s2", "s3", "s4"]),
    ):
        select.select_by_visible_text(choice)
        assert shown(opened) == expected, choice
    search = opened.find_element("id", "search")
    search.send_keys("CARLA nodule")
    assert shown(opened) == ["s2"]
    assert opened.find_element("id", "shown").text == "1 of 4 shown"
    search.send_keys(" nobody")
    assert shown(opened) == []
    assert opened.find_element("id", "empty").is_displayed()
    select.select_by_visible_text("Effusion (1)")
    search.clear()
    search.send_keys("carla")
    assert shown(opened) == []


def test_sort_by_click_and_by_keyboard(opened: Any) -> None:
    from selenium.webdriver import Keys

    header(opened, "patient").find_element("tag name", "button").click()
    assert shown(opened) == ["s4", "s3", "s1", "s2"]  # "<" before letters, then Adam, Berta, Carla
    assert header(opened, "patient").get_attribute("aria-sort") == "ascending"
    assert header(opened, "place").get_attribute("aria-sort") == "none"
    header(opened, "patient").find_element("tag name", "button").click()
    assert shown(opened) == ["s2", "s1", "s3", "s4"]
    press(opened, Keys.TAB, Keys.ENTER)  # the next header in the tab order is the date's: newest first
    assert header(opened, "date").get_attribute("aria-sort") == "descending"
    assert shown(opened) == ["s4", "s1", "s3", "s2"]
    header(opened, "flags").find_element("tag name", "button").click()
    assert shown(opened) == ["s1", "s2", "s3", "s4"]  # equal ones stay in order of urgency


def test_keyboard_alone_finds_and_opens_a_report(opened: Any) -> None:
    from selenium.webdriver import Keys

    press(opened, "/")
    assert opened.switch_to.active_element.get_attribute("id") == "search"
    press(opened, "b", Keys.ESCAPE)
    assert shown(opened) == ["s1", "s2", "s3", "s4"]
    press(opened, Keys.ARROW_DOWN, "j", "k", "j", Keys.ARROW_DOWN, Keys.ARROW_UP)
    current = opened.find_element("css selector", "[aria-current=true]")
    assert current.get_attribute("data-place") == "2"
    press(opened, Keys.ENTER)
    assert opened.current_url.endswith("/reports/s2/report.html")
    assert "Carla, C" in opened.find_element("tag name", "body").text
    opened.find_element("link text", "Worklist").click()
    assert opened.current_url.endswith("/index.html")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("page", ["index.html", "reports/s1/report.html"])
def test_no_page_is_wider_than_the_window(opened: Any, width: int, page: str) -> None:
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    try:
        opened.get(opened.current_url.replace("index.html", page))
        assert opened.execute_script("return window.innerWidth") == width
        assert opened.execute_script("return document.documentElement.scrollWidth") <= width
        cut = opened.execute_script(
            "return [...document.querySelectorAll('p, td, th, .row > span, dd')].filter(e => "
            "e.offsetParent && e.getBoundingClientRect().right > window.innerWidth + 1)"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert cut == []
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_but_the_run_folder_is_asked_for_and_nothing_is_blocked(opened: Any, tmp_path: Path) -> None:
    opened.find_element("css selector", "a.open").click()
    opened.get((tmp_path / "index.html").as_uri())
    messages = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert len(urls) >= 3
    assert [url for url in urls if not url.startswith(tmp_path.as_uri())] == []
    assert opened.get_log("browser") == []  # a picture or script that the policy blocks is logged here


def test_the_list_is_whole_without_javascript(opened: Any) -> None:
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.refresh()
        text = opened.find_element("tag name", "body").text
        assert all(name in text for name in ("Berta, B", "Carla, C", "Adam, A", EVIL, "No report: No disk."))
        assert not opened.find_element("id", "filters").is_displayed()
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_ten_thousand_studies_stay_usable(
    browser: Any,
    tmp_path: Path,
    make_study: Callable[..., StudyRecord],
    new_row: Callable[..., WorklistRow],
    card: Card,
    facts: RunFacts,
) -> None:
    row = new_row(make_study("s1", (BOTH,)), card)
    rows = [replace(row, study=replace(row.study, key=f"{n:05}")) for n in range(9_999)]
    last = new_row(make_study("last", (NODULE,), patient=Patient("77", "Needle^N")), card)
    write_worklist(tmp_path, [*rows, last], facts, ReportSettings(html=False, pdf=False), {})
    browser.get((tmp_path / "index.html").as_uri())
    search = browser.find_element("id", "search")
    started = time.monotonic()
    search.send_keys("needle")
    assert shown(browser) == ["s10000"]
    search.clear()
    search.send_keys(" ")
    header(browser, "patient").find_element("tag name", "button").click()
    header(browser, "patient").find_element("tag name", "button").click()
    assert (
        browser.find_element("css selector", ".row:not(.head)").get_attribute("data-patient")
        == "Needle, N 77"
    )
    assert time.monotonic() - started < 60
