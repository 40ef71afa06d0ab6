"""The report's page in a real browser."""

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tasks.renderers.html import render_html
from tests.renderers.reports import sample_report, write_losses

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        message = "no chromium and chromedriver on the PATH; apt install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    options = ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--window-size=1280,1600",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(argument)
    browser = Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture(scope="module")
def page(browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Chrome:
    """The report, opened from the disk."""
    folder = tmp_path_factory.mktemp("report")
    file = folder / "report.html"
    file.write_text(render_html(sample_report(), write_losses(folder)), encoding="utf-8")
    browser.get(file.as_uri())
    return browser


def test_the_page_opens_without_an_error(page: Chrome) -> None:
    assert page.title == "quickstart: Ship it"
    assert page.find_element(By.TAG_NAME, "h1").text == "quickstart"
    assert page.get_log("browser") == []


def test_the_three_plots_are_drawn(page: Chrome) -> None:
    plots = page.find_elements(By.TAG_NAME, "svg")
    assert len(plots) == 3
    assert all(plot.size["width"] > 300 and plot.size["height"] > 100 for plot in plots)


@pytest.mark.parametrize("width", [1280, 768])
def test_nothing_is_wider_than_the_window(page: Chrome, width: int) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": False}
    )
    assert page.execute_script("return window.innerWidth") == width
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_page_asks_the_network_for_nothing(page: Chrome) -> None:
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded == []
