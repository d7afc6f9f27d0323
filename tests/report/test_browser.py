"""The page in headless Chromium: it renders, asks nothing of a network, and obeys nobody but its own script."""

from __future__ import annotations

import itertools

import pytest
from report import browser
from report.runs import HOSTILE, facts, hostile_run, log_lines, rows, token_row, write_run

from penchant.report import record, write_report
from penchant.report.text import visible

pytestmark = pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing()))


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with browser.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def show(driver, tmp_path):
    """Opens the page of some runs and looks at all of it; afterwards nothing may have been fetched or complained of."""

    def show(*folders, **screen):
        browser.emulate(driver, **({"dark": False, "width": 1280, "height": 900} | screen))
        page = write_report(folders, tmp_path / "page.html")
        driver.get(page.as_uri())
        browser.scroll_through(driver)
        assert browser.requests(driver) == [page.as_uri()]
        assert browser.complaints(driver) == []
        return driver

    return show


@pytest.fixture
def full_run(tmp_path):
    return write_run(
        tmp_path / "mine",
        of_facts=facts(noise=record.NoiseFacts(0.2, 0.1, "bfloat16")),
        tokens=[token_row("best", " Paris"), token_row("worst", "no\n")],
        samples=[record.Sample("Why?", "Because.", "Because it is so.")],
        alarms=[{"id": "margin", "step": 7, "sentence": "The margin fell", "remedy": "Lower the learning rate."}],
    )


def charts_drawn(driver):
    """How many charts there are, and how many of them have pixels of more than one colour."""
    return driver.execute_script(
        "const pixels = (c) => new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);"
        "const all = [...document.querySelectorAll('figure.chart canvas')];"
        "const drawn = all.filter((canvas) => new Set(pixels(canvas)).size > 3);"
        "return [document.querySelectorAll('figure.chart').length, drawn.length];"
    )


@pytest.mark.parametrize("screen", [{}, {"dark": True}, {"width": 390, "height": 800, "mobile": True}])
def test_every_chart_is_drawn_and_nothing_sticks_out(show, full_run, screen):
    driver = show(full_run, **screen)
    count, drawn = charts_drawn(driver)
    assert count == drawn == 11
    wide, room = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= room
    colour = driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(int(part) for part in colour[4:-1].split(",")[:3]) < 200) == screen.get("dark", False)


def test_attacks_stay_text(show, tmp_path):
    driver = show(hostile_run(tmp_path / "mine"), write_run(tmp_path / "other"))
    assert driver.execute_script("return document.querySelectorAll('img, [onerror], [onclick], iframe').length") == 0
    assert driver.execute_script("return document.scripts.length") == 2
    said = driver.execute_script("return document.querySelector('.prompt').textContent")
    assert said == visible(HOSTILE)
    token = driver.execute_script("return document.querySelector('.t[data-v]').textContent")
    assert token == visible(HOSTILE)


def test_an_injected_script_would_not_run(show, full_run):
    driver = show(full_run)
    driver.execute_script(
        "document.body.insertAdjacentHTML('beforeend', '<div id=trap onclick=\"window.caught = 1\">x</div>');"
        "document.getElementById('trap').click();"
    )
    assert driver.execute_script("return window.caught") is None
    assert "Content Security Policy" in browser.complaints(driver)[0]


def test_the_keyboard_reaches_everything_in_order(show, full_run):
    from selenium.webdriver.common.keys import Keys

    driver = show(full_run)
    press = lambda key: driver.switch_to.active_element.send_keys(key)  # noqa: E731
    press(Keys.TAB)
    assert driver.switch_to.active_element.text == "Skip to the report"
    press(Keys.ENTER)
    reached = []
    for _ in range(60):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(
            driver.execute_script(
                "const at = document.activeElement;"
                "return [at.tagName, at.className, at.getBoundingClientRect().top + scrollY];"
            )
        )
        if reached[-1][0] == "BODY":
            reached.pop()
            break
    kinds = [kind for _, kind, _ in reached]
    assert kinds.count("plot") == 11 and kinds.count("said tokens") == 4
    tops = [top for _, _, top in reached]
    assert all(second > first - 400 for first, second in itertools.pairwise(tops)), "focus follows the page"


def test_charts_and_tokens_are_read_out(show, full_run):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    driver = show(full_run)
    figure = driver.find_element(By.ID, "r1-loss")
    plot = figure.find_element(By.CLASS_NAME, "plot")
    plot.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    said = figure.find_element(By.CLASS_NAME, "readout").get_attribute("textContent")
    assert said == "step 2: loss 0.663"
    before = driver.execute_script("return document.querySelector('#r1-loss .u-legend').textContent")
    assert "0.663" in before
    box = driver.find_element(By.CLASS_NAME, "tokens")
    box.send_keys(Keys.ARROW_RIGHT)
    said = box.find_element(By.XPATH, "../p").text
    assert said == '" Paris": log-prob −2 → −2.9, log-ratio −0.9 nats, implicit reward −0.09'


def test_dragging_zooms_and_a_double_click_shows_all(show, full_run):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    driver = show(full_run)
    over = driver.find_element(By.CSS_SELECTOR, "#r1-margins .u-over")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", over)
    picture = "return document.querySelector('#r1-margins canvas').toDataURL()"
    whole = driver.execute_script(picture)
    ActionChains(driver).move_to_element_with_offset(over, -60, 0).click_and_hold().move_by_offset(
        80, 0
    ).release().perform()
    driver.execute_async_script("setTimeout(arguments[0], 100)")
    assert driver.execute_script(picture) != whole
    ActionChains(driver).move_to_element(over).double_click().perform()
    driver.execute_async_script("setTimeout(arguments[0], 100)")
    assert driver.execute_script(picture) == whole


def test_it_prints_in_ink_on_paper(show, full_run):
    driver = show(full_run, dark=True)
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert (
        driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    import base64

    assert base64.b64decode(driver.print_page()).startswith(b"%PDF")
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert (
        driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
        != "rgb(255, 255, 255)"
    )


def test_a_wide_table_is_printed_whole(show, full_run, tmp_path):
    """On the screen it scrolls; paper cannot."""
    other = write_run(tmp_path / "other", of_facts=facts(constants={"beta": 0.25, "a_constant_of_some_length": 1.0}))
    driver = show(full_run, other, width=700)
    beyond = "const [box, table] = ['.scroll', '.scroll table'].map((one) => document.querySelector(one));"
    beyond += "return table.getBoundingClientRect().right - box.getBoundingClientRect().right;"
    assert driver.execute_script(beyond) > 0
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert driver.execute_script(beyond) <= 0
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_without_a_script_no_empty_box_stands_for_a_chart(driver, full_run, tmp_path):
    page = write_report([full_run], tmp_path / "page.html")
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(page.as_uri())
        height = "return document.querySelector('.plot').getBoundingClientRect().height"
        assert driver.execute_script(height) < 20
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_large_run_opens(show, tmp_path):
    driver = show(write_run(tmp_path / "mine", of_rows=rows(5000), log=log_lines(5000)))
    count, drawn = charts_drawn(driver)
    assert count == drawn
