"""The report's page in a real browser: what is seen, what the filters and the keyboard do, and that nothing leaves the page."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from tasks.renderers.html import render_html
from tests.renderers.reports import HOSTILE, hostile_report, minimal_report, sample_report, write_losses

pytestmark = pytest.mark.slow

CONTRASTS = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const known = new Map();
const parse = (colour) => {
  if (known.has(colour)) return known.get(colour);
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]);
  return known.get(colour);
};
const luminance = ([r, g, b]) => [r, g, b].map((each) => each / 255)
  .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
  .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);
const ground = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (parse(colour)[3] === 255) return colour;
  }
  return "white";
};
const found = {};
for (const element of document.querySelectorAll("body *")) {
  const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!hasText || !element.getClientRects().length) continue;
  const style = getComputedStyle(element);
  const colour = element instanceof SVGElement ? style.fill : style.color;
  const [one, other] = [luminance(parse(colour)), luminance(parse(ground(element)))].sort((a, b) => b - a);
  found[`${colour} on ${ground(element)}`] = (one + 0.05) / (other + 0.05);
}
return found;
"""


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
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of the full, the minimal and the hostile report, on the disk."""
    folder = tmp_path_factory.mktemp("report")
    losses = write_losses(folder)
    reports = {"full": sample_report(), "minimal": minimal_report(), "hostile": hostile_report(HOSTILE)}
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(render_html(report, losses), encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in reports}


@pytest.fixture
def page(browser: Chrome, pages: dict[str, str]) -> Chrome:
    """The full report, freshly opened by somebody who prefers a light page and no motion."""
    prefer(browser, "light", prefers_reduced_motion="reduce")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(pages["full"])
    return browser


def prefer(browser: Chrome, scheme: str, **features: str) -> None:
    wanted = {"prefers-color-scheme": scheme, **{name.replace("_", "-"): value for name, value in features.items()}}
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": name, "value": value} for name, value in wanted.items()]}
    )


def shown(page: Chrome) -> list[str]:
    """Return the ids of the completions that are to be seen."""
    return [each.text for each in page.find_elements(By.CSS_SELECTOR, ".case:not([hidden]) h3 > bdi")]


def press(page: Chrome, *keys: str) -> None:
    ActionChains(page).send_keys(*keys).perform()


def focused(page: Chrome) -> Any:
    return page.switch_to.active_element


@pytest.mark.parametrize("name", ["full", "minimal", "hostile"])
def test_the_page_opens_without_an_error_and_asks_the_network_for_nothing(
    browser: Chrome, pages: dict[str, str], name: str
) -> None:
    browser.get_log("browser")
    browser.get(pages[name])

    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)") == []


def test_the_verdict_is_what_one_sees_first(page: Chrome) -> None:
    assert page.title == "quickstart: Promote"
    verdict = page.find_element(By.CSS_SELECTOR, ".judgement")
    reason = page.find_element(By.CSS_SELECTOR, ".reason")
    caveats = page.find_element(By.CSS_SELECTOR, ".caveats")

    assert verdict.text == "Promote" and verdict.is_displayed()
    assert verdict.location["y"] < reason.location["y"] < caveats.location["y"] < 900


def test_the_policy_stops_a_script_that_is_not_the_pages(page: Chrome) -> None:
    page.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.ran = true'; document.body.append(script);"
    )

    assert page.execute_script("return window.ran") is None
    assert any("script-src" in entry["message"] for entry in page.get_log("browser"))


def test_the_completions_are_filtered_by_outcome_task_and_text(page: Chrome) -> None:
    form = page.find_element(By.ID, "filters")
    assert len(shown(page)) == 10
    assert form.find_element(By.TAG_NAME, "output").text == "10 of 22 shown"

    form.find_element(By.CSS_SELECTOR, "input[value=worse]").click()
    assert shown(page) == ["test-17"]
    form.find_element(By.CSS_SELECTOR, "input[value=better]").click()
    assert shown(page) == ["test-204"]

    form.find_element(By.CSS_SELECTOR, "input[value='']").click()
    form.find_element(By.CSS_SELECTOR, "option[value=''] + option").click()
    form.find_element(By.NAME, "text").send_keys("for 7 DOLLARS")
    assert shown(page) == ["test-505"]

    form.find_element(By.NAME, "text").send_keys(" and no such text")
    assert shown(page) == []
    assert form.find_element(By.TAG_NAME, "output").text == "No completion is like this"


def test_the_filters_work_by_keyboard_alone(page: Chrome) -> None:
    page.execute_script("document.querySelector('#filters input').focus()")
    press(page, Keys.ARROW_RIGHT)
    assert shown(page) == ["test-17"]

    press(page, Keys.TAB, Keys.TAB, "sky")
    assert focused(page).get_attribute("name") == "text"
    assert shown(page) == []
    ActionChains(page).key_down(Keys.SHIFT).send_keys(Keys.TAB, Keys.TAB).key_up(Keys.SHIFT).send_keys(Keys.ARROW_LEFT).perform()
    assert shown(page) == ["test-204"]


def test_more_completions_are_shown_and_the_keyboard_goes_on_at_the_first_of_them(page: Chrome) -> None:
    page.find_element(By.ID, "more").send_keys(Keys.ENTER)

    assert len(shown(page)) == 20
    assert focused(page).find_element(By.CSS_SELECTOR, "h3 > bdi").text == shown(page)[10]


def test_the_first_key_leads_past_the_navigation(page: Chrome) -> None:
    press(page, Keys.TAB)
    assert focused(page).text == "Skip to the verdict"
    assert focused(page).is_displayed()


def test_the_theme_is_chosen_by_keyboard_and_kept(page: Chrome, pages: dict[str, str]) -> None:
    button = page.find_element(By.ID, "theme")
    light = page.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    assert button.text == "Dark page"
    button.send_keys(Keys.SPACE)
    dark = page.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    assert button.text == "Light page" and dark != light

    page.get(pages["full"])
    assert page.find_element(By.TAG_NAME, "body").value_of_css_property("background-color") == dark
    page.execute_script("localStorage.clear()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: Chrome, page: Chrome, scheme: str) -> None:
    prefer(browser, scheme)
    page.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    contrasts = page.execute_script(CONTRASTS)

    assert len(contrasts) >= 5
    assert min(contrasts.values()) >= 4.5, contrasts


@pytest.mark.parametrize("width", [1500, 768, 320])
@pytest.mark.parametrize("name", ["full", "hostile"])
def test_nothing_is_wider_than_the_window(browser: Chrome, pages: dict[str, str], name: str, width: int) -> None:
    browser.get(pages[name])
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")

    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_what_scrolls_by_itself_is_reached_by_keyboard(browser: Chrome, page: Chrome) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    page.refresh()
    unreached = page.execute_script(
        "return [...document.querySelectorAll('.scroll, .said, pre')].filter("
        "each => each.scrollWidth > each.clientWidth + 1 && each.tabIndex < 0).length"
    )

    assert page.execute_script("return document.querySelectorAll('.scroll[tabindex=\"0\"]').length") > 0
    assert unreached == 0


def test_plots_are_drawn_at_a_readable_size(page: Chrome) -> None:
    plots = page.find_elements(By.CSS_SELECTOR, "figure > svg")

    assert len(plots) == 10
    assert all(plot.size["width"] > 300 and plot.size["height"] > 60 for plot in plots)


def test_who_wants_no_motion_gets_none(browser: Chrome, page: Chrome) -> None:
    assert page.find_element(By.TAG_NAME, "html").value_of_css_property("scroll-behavior") == "auto"
    prefer(browser, "light", prefers_reduced_motion="no-preference")
    assert page.find_element(By.TAG_NAME, "html").value_of_css_property("scroll-behavior") == "smooth"


def test_on_paper_everything_is_open_and_controls_are_gone(browser: Chrome, page: Chrome) -> None:
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not page.find_elements(By.CSS_SELECTOR, "details:not([open])")
        assert not page.find_element(By.ID, "theme").is_displayed()
        assert not page.find_element(By.TAG_NAME, "nav").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.find_elements(By.CSS_SELECTOR, "details:not([open])")


def test_without_its_script_the_page_still_shows_everything(browser: Chrome, pages: dict[str, str]) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(pages["full"])
        assert len(shown(browser)) == 22
        assert not browser.find_element(By.ID, "filters").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
