"""The console in a real browser, on a real factory: what an operator does with it, by mouse, keyboard and telephone.

Chromium as the system has it, without a window; where there is none this is skipped, and in CI it fails. CONSOLE_LOOKS
names a folder for pictures of what was seen.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from streams import names
from streams.transport.dead_letters import letter_fields
from streams.transport.port import Entry, Publication
from tests.factory.running import Factory, factory

pytestmark = pytest.mark.slow

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_LOOKS = os.environ.get("CONSOLE_LOOKS", "")
_SOON_MS, _FILM_MS = 20_000, 200_000
_DESK, _PHONE = (1440, 900), (390, 844)
#: So that a film takes seconds.
_SMALL = {"YTEMPIRE_VIDEO_QUALITY": "720p", "YTEMPIRE_FPS": "10", "YTEMPIRE_PRESET": "ultrafast"}
_NOTES = (
    "Rivers carry water to the sea. They begin as springs high in the hills, where rain and snow sink into the ground. "
    "Many of them meet on their way, and each that joins makes the stream wider and slower. "
    "Where a river reaches the coast it lays down what it carried, and new land grows out of the water."
)

#: Where the film is after it was played for a moment, and after it was set to a time that was not loaded yet.
_PLAY = """async film => {
  const moved = new Promise(done => film.addEventListener("timeupdate", () => film.currentTime > 0.5 && done()));
  film.muted = true;
  await film.play();
  await moved;
  film.pause();
  return film.currentTime;
}"""
_SEEK = """async (film, to) => {
  const there = new Promise(done => film.addEventListener("seeked", done, { once: true }));
  film.currentTime = to;
  await there;
  return film.currentTime;
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """One real factory for this file, with the product's own Procfile."""
    with factory(tmp_path_factory.mktemp("factory"), environ=_SMALL) as real:
        yield real


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium here: on Debian, apt-get install chromium")
    assert path is not None, "CI tests the console: it needs Chromium"
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, running: Factory) -> Iterator[Page]:
    """The console on a desk; whatever the browser complains of fails the test."""
    wide, high = _DESK
    context = browser.new_context(viewport={"width": wide, "height": high}, color_scheme="dark")
    opened, complaints = context.new_page(), list[str]()
    opened.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.set_default_timeout(_SOON_MS)
    opened.goto(f"http://127.0.0.1:{running.gateway_port}/")
    expect(opened.locator("#link")).to_have_text("live", timeout=_SOON_MS)
    expect(opened.locator("#gate")).to_have_text(re.compile("open|halted|paused"), timeout=_SOON_MS)
    yield opened
    context.close()
    # a gateway that was killed refuses connections, which a browser always says
    assert [said for said in complaints if "ERR_" not in said] == []


def _look(page: Page, name: str) -> None:
    if _LOOKS:
        Path(_LOOKS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{_LOOKS}/console-{name}.png", full_page=True)


def _letter(running: Factory, video: str) -> str:
    """A dead letter, as if the script group had given up; its id."""
    fields = {b"type": b"video.admitted", b"video": video.encode()}
    entry = Entry("stream:admitted", "1-1", fields, "script", "stream:admitted", "1-1")
    letter = Publication(names.DEAD, letter_fields(entry, "the model answered nonsense", "look at its log"))
    return running.transport.publish((letter,))[0]


def _film(page: Page, topic: str) -> None:
    """Ask for one in the dialog, and wait until it is finished; the page shows its story then."""
    page.keyboard.press("n")
    page.locator("[name=topic]").fill(topic)
    page.locator("[name=notes]").fill(_NOTES)
    page.locator("[name=length]").fill("10s")
    assert "default" in page.locator("[name=style] option").all_text_contents()
    _look(page, "submit")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("h1")).to_have_text(topic, timeout=_SOON_MS)
    expect(page.locator(".head .chip")).to_have_text(re.compile("queued|processing"), timeout=_SOON_MS)
    page.keyboard.press("1")
    expect(page.locator(".hand")).to_contain_text(topic, timeout=_SOON_MS)
    _look(page, "factory-busy")
    page.locator(".hand a.video", has_text=topic).click()
    expect(page.locator(".head .chip")).to_have_text("completed", timeout=_FILM_MS)


def test_a_video_is_asked_for_watched_and_played(page: Page) -> None:
    _film(page, "Rivers")
    film = page.locator("video")
    assert film.evaluate(_PLAY) > 0.5
    last_s = film.evaluate("film => film.duration - 1")
    assert film.evaluate(_SEEK, last_s) == pytest.approx(last_s, abs=0.2)
    assert film.evaluate("film => film.error") is None
    expect(page.locator("summary", has_text="Checks")).to_be_visible()
    expect(page.locator(".lane")).to_have_count(5)
    _look(page, "video")
    page.keyboard.press("1")
    expect(page.locator(".recent")).to_contain_text("Rivers", timeout=_SOON_MS)
    expect(page.locator(".stage.good .count")).not_to_have_text("0")
    _look(page, "factory")


def test_a_halt_has_a_reason_a_pill_and_a_banner_and_is_lifted(page: Page) -> None:
    page.keyboard.press("h")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator("#gate")).to_have_text("open")
    page.locator("#halt").click()
    page.get_by_label("Reason").fill("the voice sounds wrong")
    _look(page, "halt")
    page.get_by_role("button", name="Halt now").click()
    expect(page.locator("#gate")).to_have_text("halted", timeout=_SOON_MS)
    expect(page.locator("#holds")).to_contain_text("the voice sounds wrong")
    assert page.title().startswith("HALTED")
    expect(page.locator("#pause")).to_be_hidden()
    _look(page, "halted")
    page.keyboard.press("r")
    page.get_by_role("button", name="Resume").last.click()
    expect(page.locator("#gate")).to_have_text("open", timeout=_SOON_MS)
    expect(page.locator("#holds")).to_be_hidden()


def test_a_dead_letter_is_seen_and_put_back(page: Page, running: Factory) -> None:
    letter_id = _letter(running, "v-planted")
    page.keyboard.press("3")
    letter = page.locator(".letter", has_text="the model answered nonsense").first
    expect(letter).to_be_visible(timeout=_SOON_MS)
    _look(page, "dead")
    letter.get_by_role("button", name="Requeue").click()
    expect(page.locator(".toast", has_text=f"{letter_id}: requeued")).to_be_visible(timeout=_SOON_MS)
    expect(letter.locator(".chip")).to_have_text("put back", timeout=_SOON_MS)


def test_keys_lead_everywhere_and_leave_what_is_typed_alone(page: Page) -> None:
    for key, title in (("2", "Videos"), ("3", "Dead letters"), ("4", "Log"), ("1", "Flow")):
        page.keyboard.press(key)
        expect(page.locator("main h2").first).to_have_text(title)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("hn2")
    expect(page.locator("#search")).to_have_value("hn2")
    expect(page.locator("dialog")).to_have_count(0)
    _look(page, "videos")
    page.locator("h2").first.click()
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def test_a_telephone_and_a_light_room_are_served_too(page: Page, running: Factory) -> None:
    _letter(running, "v-with-a-rather-long-name-that-nobody-breaks-into-lines")
    wide, high = _PHONE
    page.set_viewport_size({"width": wide, "height": high})
    for view in ("", "videos", "dead", "log"):
        page.goto(f"http://127.0.0.1:{running.gateway_port}/#/{view}")
        expect(page.locator("main h2").first).to_be_visible()
        if view == "dead":
            expect(page.locator(".letter").first).to_be_visible()
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{view or 'factory'} is {overflow} pixels too wide"
        _look(page, f"phone-{view or 'factory'}")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    wide, high = _DESK
    page.set_viewport_size({"width": wide, "height": high})
    page.keyboard.press("1")
    expect(page.locator(".flow .stage").first).to_be_visible()
    _look(page, "light")
    page.keyboard.press("t")  # by hand it outweighs what the system says
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_a_gateway_that_is_gone_is_said_and_when_it_is_back_too(page: Page, running: Factory) -> None:
    (gateway,) = [child for child in running.children() if _runs_the_gateway(child)]
    gateway.send_signal(signal.SIGKILL)
    expect(page.locator("#gone")).to_be_visible(timeout=_SOON_MS)
    expect(page.locator("#link")).to_have_text("no connection")
    _look(page, "gone")
    expect(page.locator("#link")).to_have_text("live", timeout=3 * _SOON_MS)
    expect(page.locator("#gone")).to_be_hidden()


def _runs_the_gateway(child: psutil.Process) -> bool:
    try:
        return child.cmdline()[-1:] == ["deploy.gateway"]
    except psutil.NoSuchProcess:
        return False
