# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: a photo, its verdict, sliders, keyboard, phone, dark, WCAG AA."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from support import encoded
from support.browser import DESKTOP, PHONE, contrast_and_more
from support.serving import photo, served, weights

from facetell.app.serve.limits import Limits

SLIDERS = ("blur", "jpeg", "crop", "brightness")
MARK = 10_000  # ms: what must have happened by then


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("models")
    files = [weights(home, "first"), weights(home, "second", size=80), weights(home, "x" * 60)]
    with served(files, Limits(upload_mb=1)) as found:
        yield found


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered face."""
    from facetell.dataset.demo import packed_demo

    path = tmp_path_factory.mktemp("photos") / "me & you.jpg"
    path.write_bytes(packed_demo(path.with_name("demo"))["test"].image(0))
    return path


def ready(visit, address, **options):
    page = visit(address, **options)
    page.wait_for_selector("body[data-ready]", timeout=MARK)
    return page


def judged(page, number=1):
    """The scores by model, once so many verdicts are shown and nothing is under way."""
    page.wait_for_selector(f"#verdicts > li:nth-child({number})", timeout=MARK)
    page.wait_for_selector("#result:not([aria-busy])", timeout=MARK)
    shown = page.locator("#verdicts > li").all()
    return {
        one.get_attribute("data-model"): float(one.get_attribute("data-score")) for one in shown
    }


def moved(page, name, value):
    page.locator(f"#{name}").fill(value)
    page.wait_for_selector("#verdicts > li:has-text('unchanged')", timeout=MARK)
    return judged(page)


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_a_photo_is_judged_changed_and_taken_away(visit, address, face, tmp_path, viewport, scheme):
    page = ready(visit, address, viewport=viewport, color_scheme=scheme)
    assert contrast_and_more(page) == []
    page.set_input_files("#file", face)
    before = judged(page)
    assert list(before) == ["first"]
    page.check("input[value=second]")
    assert list(judged(page, 2)) == ["first", "second"]
    first_map = page.get_attribute(".map >> nth=0", "src")
    for name, value in (("blur", "3"), ("jpeg", "10"), ("crop", "96"), ("brightness", "0.4")):
        after = moved(page, name, value)
        assert after["first"] != before["first"], name
        assert page.get_attribute(".map >> nth=0", "src") != first_map
        page.click("#reset")
        page.wait_for_selector("#verdicts > li:has-text('calibrated')", timeout=MARK)
        assert judged(page)["first"] == before["first"]
    moved(page, "blur", "3")
    assert page.get_attribute("#blur", "aria-valuetext") == "3.0 px"
    assert contrast_and_more(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= viewport["width"]
    assert "no proof" in page.inner_text("#note")
    with page.expect_download(timeout=2 * MARK) as download:
        page.click("#sheet")
    download.value.save_as(tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").width > 500


def test_a_photo_is_dropped_onto_the_page(visit, address):
    page = ready(visit, address)
    data = list(encoded(photo(), "PNG"))
    transfer = page.evaluate_handle(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
            return transfer;
        }""",
        data,
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": transfer})
    page.wait_for_selector("#drop.over")
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    assert judged(page)
    assert page.locator("#drop.over").count() == 0


def test_everything_can_be_done_with_the_keyboard(visit, address, face):
    page = ready(visit, address)
    page.set_input_files("#file", face)
    before = judged(page)
    page.focus("#file")
    reached = []
    for _ in range(11):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        reached.append(focused.get_attribute("id") or focused.get_attribute("value"))
        if reached[-1] == "second":
            page.keyboard.press("Space")
            judged(page, 2)
        if reached[-1] == "blur":
            for _ in range(20):
                page.keyboard.press("ArrowRight")
    assert reached == [
        "find-faces",
        "first",
        "second",
        "x" * 60,
        "method",
        *SLIDERS,
        "reset",
        "sheet",
    ]
    page.wait_for_selector("#verdicts > li:has-text('unchanged')", timeout=MARK)
    page.wait_for_selector("output[for=blur]:has-text('2.0 px')")
    after = judged(page, 2)
    assert after["first"] != before["first"]


def test_the_newest_position_wins(visit, address, face):
    page = ready(visit, address)
    page.set_input_files("#file", face)
    judged(page)
    expected = moved(page, "blur", "5")
    page.click("#reset")
    page.wait_for_selector("#verdicts > li:has-text('calibrated')", timeout=MARK)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    for step in range(51):
        page.locator("#blur").fill(str(step / 10))
    page.wait_for_timeout(500)
    assert judged(page) == expected
    assert len(sent) < 51  # those in between are left out where the server is slower


def test_what_goes_wrong_is_said(visit, address, face, tmp_path):
    page = ready(visit, address)
    (tmp_path / "words.jpg").write_text("no photo", encoding="utf-8", newline="\n")
    page.set_input_files("#file", tmp_path / "words.jpg")
    page.wait_for_selector("#problem:has-text('cannot be read')", timeout=MARK)
    (tmp_path / "large.jpg").write_bytes(bytes(2**20))
    page.set_input_files("#file", tmp_path / "large.jpg")
    page.wait_for_selector("#problem:has-text('at most 1 MB')", timeout=MARK)
    page.set_input_files("#file", face)
    assert judged(page)
    assert page.locator("#problem").is_hidden()
    page.uncheck("input[value=first]")
    page.wait_for_selector("#problem:has-text('at least one detector')", timeout=MARK)


def test_the_page_about_the_api_is_accessible(visit, address):
    for viewport, scheme in ((DESKTOP, "dark"), (PHONE, "light")):
        page = visit(f"{address}/api", viewport=viewport, color_scheme=scheme)
        assert contrast_and_more(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
