# SPDX-License-Identifier: Apache-2.0
"""One headless Chromium for all tests of a process; ``.ci/run`` installs Debian's.

A test takes the fixture ``browser``, or ``visit`` for a page whose errors fail the test. Without
Chromium such tests are skipped, unless ``FACETELL_NEEDS_BROWSER`` is set.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

NEEDED = "FACETELL_NEEDS_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Playwright's browser."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        reason = "there is no Chromium on the path (Debian: apt-get install chromium)"
        if os.environ.get(NEEDED):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """``visit(url, viewport=PHONE, color_scheme="dark")`` gives a page. At the end of the test
    there must have been no error on it, and no request to another origin."""
    contexts, wrong = [], []

    def open_page(url: str, **options: Any) -> Any:
        context = browser.new_context(**({"viewport": DESKTOP} | options))
        contexts.append(context)
        page = context.new_page()
        origin = "/".join(url.split("/")[:3])
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: _is_wrong(said) and wrong.append(said.text))
        page.on(
            "request",
            lambda sent: sent.url.startswith((origin, "data:", "blob:")) or wrong.append(sent.url),
        )
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def _is_wrong(said: Any) -> bool:
    """Errors, but not that the server has refused what the page asked it: the page says so."""
    return said.type == "error" and "/api/v1/" not in said.location["url"]


def contrast_and_more(page: Any) -> list[str]:
    """What axe finds on the page as it is now: WCAG 2.1 AA and good practice."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]
