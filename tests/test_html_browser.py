"""Pages in a real browser: nothing is complained of or loaded, and everything can be used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import browser
from fake_report import made_image, made_report
from fake_results import inconclusive, made_result, series
from synctool.report.html.pages import compare_page, detect_page, write_html
from synctool.types import Segment

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(browser.found() is None, reason="no Chromium on this computer"),
    pytest.mark.timeout(120),
]
NASTY = "</script><script>window.bad = 1</script><img src=x onerror='window.bad = 1'>.mp4"
LIGHT, DARK = "rgb(247, 247, 245)", "rgb(17, 20, 23)"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of one video, of several, and of a comparison."""
    place = tmp_path_factory.mktemp("pages")
    video = made_result(
        NASTY,
        frames=series(*[3.0] * 50, *[-1.0] * 50),
        segments=(Segment(0.0, 2.0, 3.0, 0.9), Segment(2.0, 4.0, -1.0, 0.9)),
    )
    images = {NASTY: [made_image(25 * n) for n in range(4)]}
    write_html(detect_page([video], command="x", thumbnails=images), place / "one.html")
    videos = [
        made_result(f"video {n}.mp4", offset_frames=offset, verdict=verdict)
        for n, (offset, verdict) in enumerate(
            [(3.0, "unacceptable"), (-20.0, "unacceptable"), (0.5, "in sync"), (2.0, "detectable")]
            * 3
        )
    ]
    videos.insert(1, inconclusive("no face", input="none.mp4"))
    write_html(detect_page(videos, command="x"), place / "several.html")
    write_html(compare_page(made_report(6, title=NASTY)), place / "compare.html")
    return place


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    """A browser for all tests."""
    with browser.opened(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(autouse=True)
def fresh(tab: browser.Page, folder: Path) -> None:
    """A reader who likes light colours, at a desk, and has chosen nothing yet."""
    tab.look()
    tab.open(folder / "one.html")
    tab.run("localStorage.clear()")


def column(tab: browser.Page, number: int) -> list[str]:
    """What stands in a column of the first table that can be sorted."""
    return tab.run(
        "Array.from(document.querySelector('table[data-sortable]').tBodies[0].rows)"
        f".filter(r => !r.hidden).map(r => r.cells[{number}].innerText.trim())"
    )


@pytest.mark.parametrize("name", ["one", "several", "compare"])
@pytest.mark.parametrize(("dark", "width"), [(False, 1200), (True, 1200), (False, 360)])
def test_nothing_is_complained_of_loaded_or_cut_off(
    tab: browser.Page, folder: Path, name: str, dark: bool, width: int
) -> None:
    tab.look(dark=dark, width=width)
    tab.open(folder / f"{name}.html")
    assert tab.complaints == []
    assert {url.split(":")[0] for url in tab.requests} <= {"file", "data"}
    assert sum(url.startswith("file") for url in tab.requests) == 1
    assert tab.run("window.bad") is None
    assert tab.run(BACKGROUND) == (DARK if dark else LIGHT)
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_the_switch_turns_the_colours_and_is_remembered(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "one.html")
    ink = tab.run("getComputedStyle(document.querySelector('svg.chart text')).fill")
    tab.click("#theme")
    assert tab.run(BACKGROUND) == DARK
    assert tab.run("document.getElementById('theme').ariaPressed") == "true"
    assert tab.run("getComputedStyle(document.querySelector('svg.chart text')).fill") != ink
    tab.open(folder / "several.html")
    assert tab.run(BACKGROUND) == DARK
    tab.look(dark=True)
    tab.click("#theme")
    assert tab.run(BACKGROUND) == LIGHT


def test_a_click_sorts_by_value_and_unknown_stands_last(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "several.html")
    title = "table[data-sortable] th:nth-child(3)"
    tab.click(f"{title} button")
    assert tab.run(f"document.querySelector('{title}').getAttribute('aria-sort')") == "ascending"
    shown = column(tab, 2)
    assert shown == ["800 ms behind"] * 3 + ["20 ms ahead"] * 3 + ["80 ms ahead"] * 3 + [
        *["120 ms ahead"] * 3,
        "–",
    ]
    tab.click(f"{title} button")
    assert tab.run(f"document.querySelector('{title}').getAttribute('aria-sort')") == "descending"
    assert column(tab, 2) == [*reversed(shown[:-1]), "–"]
    tab.click("table[data-sortable] th:first-child button")
    assert tab.run("document.querySelectorAll('th[aria-sort]').length") == 1
    assert column(tab, 0)[1:4] == ["video 0.mp4", "video 1.mp4", "video 2.mp4"]
    assert column(tab, 0)[-2:] == ["video 10.mp4", "video 11.mp4"]


def test_the_keyboard_reaches_and_sorts(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "several.html")
    for _ in range(20):
        tab.key("Tab")
        if tab.run("document.activeElement.closest('th')?.cellIndex") == 3:
            break
    assert tab.run("document.activeElement.innerText") == "Confidence"
    tab.key("Enter")
    assert tab.run("document.activeElement.closest('th').ariaSort") == "ascending"
    assert column(tab, 3)[0] == "0.00"
    tab.key(" ")
    assert tab.run("document.activeElement.closest('th').ariaSort") == "descending"
    assert column(tab, 3)[-1] == "0.00"


def test_the_first_tab_leads_past_the_bar(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "compare.html")
    tab.key("Tab")
    assert tab.run("document.activeElement.hash") == "#main"
    tab.key("Enter")
    assert tab.run("document.activeElement.id") == "main"


def test_words_and_choices_filter(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "several.html")
    typed = "(e => {{ e.value = {}; e.dispatchEvent(new Event('input', {{bubbles: true}})) }})"
    tab.run(f"{typed.format(json.dumps('video UNACC'))}(document.querySelector('[data-filter]'))")
    assert column(tab, 0) == [f"video {n}.mp4" for n in (0, 1, 4, 5, 8, 9)]
    assert tab.run("document.querySelector('output').textContent") == "6 of 13 rows"
    tab.run(f"{typed.format(json.dumps(''))}(document.querySelector('[data-filter]'))")
    tab.run(f"{typed.format(json.dumps('in sync'))}(document.querySelector('[data-choice]'))")
    assert column(tab, 1) == ["● in sync"] * 3


def test_the_pointer_and_the_arrows_read_the_chart(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "one.html")
    box = (
        "(() => { const s = document.querySelector('svg.chart'); s.scrollIntoView({block: 'center'});"
        " const r = s.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()"
    )
    x, y, width, height = tab.run(box)
    read = "document.querySelector('.readout').textContent"
    tab.point(x + 0.3 * width, y + 0.4 * height)
    assert "120 ms ahead, confidence 0.90" in tab.run(read)
    tab.point(1, 1)
    assert tab.run(read) == ""
    tab.run("document.querySelector('svg.chart').focus()")
    tab.key("End")
    assert tab.run(read).startswith("0:04.0") and "40 ms behind" in tab.run(read)
    tab.key("ArrowLeft")
    assert tab.run(read).startswith("0:04.0") or tab.run(read).startswith("0:03.9")


def test_a_link_opens_the_video_it_leads_to(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "several.html")
    assert tab.run("document.querySelectorAll('details[open]').length") == 0
    tab.click("td.name a[href='#video-3']")
    shown = "Array.from(document.querySelectorAll('details[open]'), d => d.id)"
    assert tab.settled(shown, ["video-3"]) == ["video-3"]
    tab.open(folder / "compare.html", anchor="#video-5")
    assert tab.settled("document.getElementById('video-5').open", True) is True


def test_the_result_can_be_saved(tab: browser.Page, folder: Path) -> None:
    tab.open(folder / "one.html")
    tab.run(
        "URL.createObjectURL = (blob) => { window.saved = blob.text(); return '#'; };"
        "HTMLAnchorElement.prototype.click = function () { window.savedAs = this.download; };"
    )
    tab.click("[data-save]")
    assert json.loads(tab.run("window.saved"))["input"] == NASTY
    assert tab.run("window.savedAs").endswith(".json")


def test_paper_is_white_and_has_everything(tab: browser.Page, folder: Path) -> None:
    tab.look(dark=True, paper=True)
    tab.open(folder / "several.html")
    tab.run("document.documentElement.dataset.theme = 'dark'")
    assert tab.run("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert tab.run("getComputedStyle(document.getElementById('theme')).display") == "none"
    tab.run("dispatchEvent(new Event('beforeprint'))")
    assert tab.run("document.querySelectorAll('details:not([open])').length") == 0
    assert (
        tab.run("document.querySelector('.video svg.chart').getBoundingClientRect().height") > 100
    )
    assert tab.paper().startswith(b"%PDF")


def test_without_its_script_a_page_still_reads(tab: browser.Page, folder: Path) -> None:
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(folder / "one.html")
    finally:
        tab.send("Emulation.setScriptExecutionDisabled", value=False)
    assert tab.run("document.getElementById('theme').hidden") is True
    assert "Audio is between" in tab.run("document.body.innerText")
