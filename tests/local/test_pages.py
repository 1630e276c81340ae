# SPDX-License-Identifier: Apache-2.0
"""The pages of a deployment, used in a real browser as a person would."""
import shutil

import pytest

from selenium import webdriver
from selenium.webdriver.common.by import By
from tests.conftest import needs

from .conftest import wait_for

PIPELINE = '''\
from typing import Any, Dict, List, Literal

from kourou import pipeline, step


@step
def tell(image: List[List[float]], name: str, count: int, loud: bool, mood: Literal["good", "bad"]) -> Dict[str, Any]:
    if name == "nobody":
        raise ValueError("there is nobody of that name")
    return {"image": image, "text": f"[1,  2] {name}", "count": count, "loud": loud, "mood": mood,
            "embedding": [n + 0.125 for n in range(100000, 100020)]}


@pipeline
def my_pipeline(name: str, image: List[List[float]] = [[0.0, 16.0], [1.0, 2.5]], count: int = 3, loud: bool = False,
                mood: Literal["good", "bad"] = "good") -> Dict[str, Any]:
    """Tells what it was given."""
    return tell(image, name, count, loud, mood)
'''

STREAM = '''\
from typing import Iterator

from kourou import pipeline, step


@step
def words(text: str) -> Iterator[str]:
    yield from text.split()


@pipeline
def my_pipeline(text: str = "one two three") -> Iterator[str]:
    return words(text)
'''

SHOWN = '''\
    "image": [
      [0, 16],
      [1, 2.5]
    ],
    "text": "[1,  2] Ada",
    "count": 4,
    "loud": true,
    "mood": "bad",
    "embedding": [
      100000.125, 100001.125, 100002.125, 100003.125, 100004.125, 100005.125,
      100006.125, 100007.125, 100008.125, 100009.125, 100010.125, 100011.125,
      100012.125, 100013.125, 100014.125, 100015.125, 100016.125, 100017.125,
      100018.125, 100019.125
    ]
'''


class Browser:
    """A page that is looked at."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        self.driver.get(url)
        self.expect("h1", lambda text: text)

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css):
        """What a person reads there; with the white space of the page's own text."""
        return self.driver.execute_script(
            "const e = document.querySelector(arguments[0]); return e && e.checkVisibility() ? e.textContent : ''", css)

    def expect(self, css, fits):
        """Waits until the text there fits."""
        return wait_for(lambda: [text for text in [self.text(css)] if fits(text)], what=css)[0]

    def type(self, css, text):
        field = self.find(css)
        field.clear()
        field.send_keys(text)

    def complaints(self):
        """What the browser says in its console, but for answers that are no 200."""
        return [entry["message"] for entry in self.driver.get_log("browser") if "Failed to load resource" not in entry["message"]]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    needs(shutil.which("chromium") and shutil.which("chromedriver"), "chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server",
                     "--host-resolver-rules=MAP rebound.example 127.0.0.1", "--window-size=1200,1100", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver):
    browser = Browser(driver)
    yield browser
    assert browser.complaints() == []


def test_playground(project, browser):
    project.write(PIPELINE)
    project.deploy()
    browser.open(project.row()["url"])
    assert browser.text("h1") == "app" and browser.text("#about") == "Tells what it was given."
    browser.expect("#state", lambda text: text == "ready")
    assert browser.find("#f-image").get_property("value") == "[\n  [0, 16],\n  [1, 2.5]\n]"

    # what is wrong is said beside the field, and nothing is sent
    browser.type("#f-image", "[[1, 2]")
    browser.find("#run").click()
    assert browser.expect("#f-image-e", lambda text: text).startswith("Not valid JSON")
    assert "Run the pipeline" in browser.text("#result")

    # what the server does not accept is said there, too
    browser.type("#f-name", "Ada")
    browser.type("#f-image", '[["a"]]')
    browser.find("#run").click()
    assert "(422" in browser.expect(".verdict", lambda text: text)
    assert browser.text("#f-image-e")

    browser.type("#f-image", "[[0, 16], [1, 2.5]]")
    browser.type("#f-count", "4")
    browser.find("#f-loud").click()
    browser.find("#f-mood option[value='1']").click()
    browser.find("#run").click()
    assert browser.expect(".verdict", lambda text: "422" not in text).startswith("Done (200")
    assert SHOWN in browser.text("#result pre")
    browser.find("details summary").click()
    assert '"name":"Ada"' in browser.text("#curl") and browser.text("#curl").startswith("curl -X POST http://127.0.0.1:")

    browser.type("#f-name", "nobody")
    browser.find("#run").click()
    assert browser.expect(".verdict", lambda text: "Done" not in text).startswith("It failed (")
    assert browser.text("#result pre").endswith("ValueError: there is nobody of that name")


def test_stream_in_the_playground(project, browser):
    project.write(STREAM)
    project.deploy()
    browser.open(project.row()["url"])
    browser.type("#f-text", "un deux")
    browser.find("#stream").click()
    shown = browser.expect("#result pre", lambda text: "event: run_finished" in text)
    assert '{"value":"un"}' in shown and '{"value":"deux"}' in shown and "three" not in shown


def test_key_in_the_playground(project, browser):
    project.write(PIPELINE)
    project.deploy(*project.settings(auth_key="a-key-of-the-test"))
    browser.open(project.row()["url"])
    browser.type("#f-name", "Ada")
    browser.find("#run").click()
    assert browser.expect(".verdict", lambda text: text).startswith("The key is missing or wrong (401")
    browser.type("#auth", "a-key-of-the-test")
    browser.find("#run").click()
    assert browser.expect(".verdict", lambda text: "401" not in text).startswith("Done (200")
    assert "a-key-of-the-test" not in browser.driver.page_source


def test_api_page(project, browser):
    project.write(PIPELINE)
    project.deploy()
    url = project.row()["url"]
    browser.open(url + "/docs")
    browser.expect("#paths", lambda text: "Run the pipeline once" in text)
    invoke = next(one for one in browser.driver.find_elements(By.CSS_SELECTOR, "#paths details")
                  if one.find_element(By.CSS_SELECTOR, "summary code").text == "/invoke")
    invoke.find_element(By.CSS_SELECTOR, "summary").click()
    body = invoke.find_element(By.CSS_SELECTOR, "textarea")
    assert "      [0, 16],\n      [1, 2.5]\n" in body.get_property("value")
    invoke.find_element(By.CSS_SELECTOR, "button").click()
    shown = invoke.find_element(By.CSS_SELECTOR, "pre")
    wait_for(lambda: shown.text, what="an answer")
    assert shown.text.startswith("200 OK, ") and '"success": true' in shown.text

    browser.open(url + "/redoc")
    browser.expect("#paths", lambda text: "Run the pipeline once" in text)
