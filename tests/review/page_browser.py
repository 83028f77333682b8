"""A browser on the page of the review: a server of its own, strokes on voxels, what NiiVue's drawing holds."""

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
# WebGL 2 by the processor: no graphics card, no display.
SOFTWARE = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", *SOFTWARE)
KEEPS_PICTURES = bool(os.environ.get("MEDSEG_SCREENSHOTS"))
SIZE = {"width": 1180, "height": 720} if KEEPS_PICTURES else {"width": 1024, "height": 560}


class Server:
    """``zoo review`` as a process that can be killed and started again at the same port."""

    def __init__(self, folder, artifact, port=0):
        self.words = [str(folder), "--artifact", str(artifact), "--no-browser"]
        self.port = port
        self.start()

    def start(self):
        command = [sys.executable, "-P", "-m", "zoo", "review", *self.words, "--port", str(self.port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        line = self.process.stdout.readline()
        address = re.search(r"http://[^/]+:(\d+)/", line)
        if address is None:
            raise AssertionError(line + self.process.stdout.read())
        self.port, self.address = int(address[1]), address[0]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()


def phantom(shape, seed=0) -> np.ndarray:
    """A core of 1 in a rim of 3 on 0, with noise: what the graded network of the tests labels 1, 2 and 0."""
    random = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, size) if size > 1 else [0.0] for size in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    grid += 0.15 * np.sin(3 * grid[..., [1, 2, 0]] + random.uniform(0, 3, 3))
    away = np.sqrt(np.square((grid - random.uniform(-0.1, 0.1, 3)) / (0.6, 0.5, 0.7)).sum(-1))
    voxels = np.select([away < 0.6, away < 1], [1.0, 3.0], 0.0)
    return (voxels + random.normal(0, 0.12, shape)).astype(np.float32)


@contextlib.contextmanager
def chromium(program):
    """Debian's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(program), args=list(FLAGS))
        yield browser
        browser.close()


class Person:
    """Somebody with a browser of their own, on the page.

    Args:
        browser: Playwright's.
        address: of the server.
        name: that is sent with what they do.
        touch: on a tablet.
    """

    def __init__(self, browser, address, name="Anna", touch=False):
        self.address = address
        self.context = browser.new_context(viewport=SIZE, has_touch=touch)
        self.context.add_init_script(f"localStorage.setItem('medseg-review-user', {name!r})")
        self.requests, self.faults = [], []
        self.page = self.new_window()

    def new_window(self):
        page = self.context.new_page()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        return page

    def open(self, case):
        """Open a case, in the page that is there or a new one, and wait until it is there; label 1 is chosen."""
        self.page.goto(f"{self.address}#{case}")
        self.until(f"window.review && review.openCase() === {case!r}")
        self.tool("1")

    def until(self, expression, seconds=60.0):
        """Wait until JavaScript says something true. (The page forbids ``eval``, which Playwright's own wait uses.)"""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.page.evaluate(expression)
            if value:
                return value
            self.page.wait_for_timeout(50)
        message = self.page.locator("#message").text_content()
        raise AssertionError(f"{expression} did not come true; the page says {message!r}; faults {self.faults}")

    def saved(self):
        """Wait until the server has acknowledged everything, and the page says so."""
        self.until("review.saved() && document.getElementById('saved').dataset.state === 'saved'")

    def answered(self, act):
        """Do something that asks the server's tools, and wait for the answer."""
        before = self.page.evaluate("review.answers().length")
        act()
        self.until(f"review.answers().length > {before}")

    def says(self, text):
        """Wait for a text in the line of messages."""
        self.until(f"document.getElementById('message').textContent.includes({text!r})")

    def bitmap(self):
        """NiiVue's drawing: voxels along right, anterior, superior."""
        held = self.page.evaluate("review.bitmap()")
        return np.frombuffer(base64.b64decode(held["base64"]), np.uint8).reshape(held["dims"], order="F")

    def picture(self, name):
        """Keep a picture for the documentation, where MEDSEG_SCREENSHOTS is set, once the 3D view is drawn."""
        if KEEPS_PICTURES:
            self.page.wait_for_timeout(2000)
            self.page.screenshot(path=ROOT / "docs" / "images" / f"review-{name}.png")

    def place(self, voxel, axis):
        """Where a voxel lies on the page, in the slice that cuts an axis; the cross-hair is moved to its slice."""
        now = self.page.evaluate("review.position()")
        now[axis] = int(voxel[axis])
        self.page.evaluate("voxel => review.moveTo(voxel)", now)
        spot = self.page.evaluate("([v, a]) => review.onScreen(v, a)", [[int(v) for v in voxel], axis])
        return spot["x"], spot["y"]

    def stroke(self, *voxels, axis=2):
        """Drag from voxel to voxel in the slice that cuts an axis."""
        places = [self.place(voxel, axis) for voxel in voxels]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()

    def swipe(self, *voxels, axis=2):
        """The same with a finger."""
        places = [self.place(voxel, axis) for voxel in voxels]
        session = self.context.new_cdp_session(self.page)
        for kind, (x, y) in [("touchStart", places[0]), *(("touchMove", place) for place in places[1:])]:
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def click(self, voxel, axis=2):
        """Press and release on a voxel."""
        self.page.mouse.click(*self.place(voxel, axis))

    def tool(self, key):
        """Choose a tool by its key."""
        self.page.keyboard.press(key)

    def set(self, selector, value):
        """Set a slider or a number, as a person's hand does."""
        script = (
            "([s, v]) => { const e = document.querySelector(s); e.value = v; e.dispatchEvent(new Event('input')); }"
        )
        self.page.evaluate(script, [selector, str(value)])
