"""A headless Chromium for tests: what it logs, what it asks of a network, and pictures."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from importlib.util import find_spec

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--force-device-scale-factor=1", "--hide-scrollbars"),
)
_THROUGH = """
const done = arguments[0];
let y = 0;
const step = () => {
  scrollTo(0, y);
  y += innerHeight;
  if (y < document.body.scrollHeight + innerHeight) setTimeout(step, 30);
  else { scrollTo(0, 0); setTimeout(done, 60); }
};
step();
"""


def missing() -> str | None:
    """What a browser test lacks, in words; nothing where all is there."""
    programs = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if programs:
        return f"no browser: {' and '.join(programs)} not found (Debian: apt-get install chromium chromium-driver)"
    return None if find_spec("selenium") else 'no selenium: pip install "penchant[browser]"'


@contextmanager
def chromium(folder, *, dark=False, width=1280, height=900):
    """A browser with an empty profile under ``folder``."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.get("about:blank")
        requests(driver)  # the browser's own first page
        emulate(driver, dark=dark, width=width, height=height)
        yield driver
    finally:
        driver.quit()


def emulate(driver, *, dark, width, height, mobile=False):
    """A colour scheme and a screen."""
    features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def requests(driver) -> list[str]:
    """The addresses that were asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def complaints(driver) -> list[str]:
    """What the console says since the last call."""
    return [entry["message"] for entry in driver.get_log("browser")]


def scroll_through(driver) -> None:
    """Bring every part of the page on the screen once, so that all charts are drawn."""
    driver.execute_async_script(_THROUGH)


def whole_page(driver) -> bytes:
    """A picture of the page from top to bottom."""
    import base64

    size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
    picture = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    return base64.b64decode(picture["data"])
