"""A page of WebAgg is served and drawn beside the main thread; spoken to as a browser does."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import pytest
from windows.program import Program

from bluesky_diffractogram.views.web_page import call_where_drawn, drawn_here, handle_events_one_at_a_time


def test_a_click_on_the_page_reaches_the_callback_while_the_main_thread_waits(tmp_path):
    websocket = pytest.importorskip("tornado.websocket", reason="tornado is not installed, which WebAgg needs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Program("WebAgg", tmp_path / "beamline", port=port)

    async def click(x: float, y: float) -> int:
        """Click as matplotlib's page does, and count the pictures that come for it."""
        connection = await websocket.websocket_connect(f"ws://127.0.0.1:{port}/1/ws")
        at = {"figure_id": "1", "x": x, "y": 700 - y, "button": 0, "buttons": 1, "step": 0, "modifiers": []}
        await connection.write_message(json.dumps({"type": "supports_binary", "value": True, "figure_id": "1"}))
        for kind in ("refresh", "motion_notify", "button_press", "button_release"):
            await connection.write_message(json.dumps({"type": kind, **at}))
        pictures = 0
        try:
            while True:
                pictures += isinstance(await asyncio.wait_for(connection.read_message(), 2.0), bytes)
        except TimeoutError:
            return pictures

    try:
        boxes = program.ready["boxes"]
        assert asyncio.run(click(*boxes["show"])) >= 1
        assert program.ask("state")["configuration"]["show_diff"] is False
        program.tell("scan 30 0.2")  # nothing is reduced
        time.sleep(1.5)
        asyncio.run(click(*boxes["show"]))
        done = program.enough()
        assert 0 < done["rows"] < 30
    finally:
        program.end()


def test_other_canvases_are_drawn_where_they_are_asked_to():
    called = []
    canvas = object()
    call_where_drawn(canvas, lambda: called.append(threading.current_thread()))
    assert called == [threading.current_thread()]
    assert drawn_here(canvas)


def test_events_of_a_browser_wait_while_the_figure_is_drawn():
    class Canvas:
        heard = 0

        def handle_event(self, event):
            self.heard += event

    canvas, lock = Canvas(), threading.RLock()
    handle_events_one_at_a_time(canvas, lock)
    with lock:
        thread = threading.Thread(target=canvas.handle_event, args=(1,))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert canvas.heard == 0
    thread.join(5)
    assert canvas.heard == 1
