"""Walking 100,000 enrollments, against bare requests and json.loads on the same pages.

A process of its own serves pages made beforehand, so that only the CPU time of the client counts.
"""

import json
import multiprocessing
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from lms_archive import Client, StaticToken

from .common import active_items, alternating, cpu_seconds, figure

_COUNT, _SIZE = 100_000, 200
_PATH = "/course/v1/courses/1/enrollments"


def _pages() -> list[bytes]:
    items = list(active_items(_COUNT))
    last = _COUNT // _SIZE
    return [
        json.dumps(
            {
                "data": {
                    "items": items[start : start + _SIZE],
                    "count": _SIZE,
                    "has_more_data": start + _SIZE < _COUNT,
                    "current_page": start // _SIZE + 1,
                    "current_page_size": _SIZE,
                    "total_page_count": last,
                    "total_count": _COUNT,
                }
            }
        ).encode()
        for start in range(0, _COUNT, _SIZE)
    ]


class _Canned(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, pages: list[bytes], *arguments: Any) -> None:
        self._pages = pages
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """A page by its number."""
        number = int(parse_qs(urlsplit(self.path).query)["page"][0])
        body = self._pages[number - 1]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is told."""


def _serve(said: Connection) -> None:
    server = HTTPServer(("127.0.0.1", 0), partial(_Canned, _pages()))
    said.send(server.server_port)
    server.serve_forever()


def _bare(url: str) -> int:
    seen = 0
    with requests.Session() as session:
        for number in range(1, _COUNT // _SIZE + 1):
            answer = session.get(
                url + _PATH,
                params={"page": number, "page_size": _SIZE},
                headers={"Authorization": "Bearer token"},
                timeout=60,
            )
            answer.raise_for_status()
            seen += len(json.loads(answer.content)["data"]["items"])
    return seen


def _ours(url: str) -> int:
    with Client(url, StaticToken("token"), calls_per_hour=None) as client:
        return sum(1 for _ in client.enrollments.in_course(1))


def main() -> None:
    """Walk by turns."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{here.recv()}"

    def measure(walk: Callable[[str], int]) -> Callable[[], float]:
        def once() -> float:
            counts: list[int] = []
            seconds = cpu_seconds(lambda: counts.append(walk(url)))
            if counts != [_COUNT]:
                raise RuntimeError(f"{counts} enrollments instead of {_COUNT}")
            return seconds

        return once

    try:
        took = alternating({"bare": measure(_bare), "ours": measure(_ours)})
    finally:
        server.terminate()
        server.join()
    for name, seconds in took.items():
        figure(f"{name}: CPU seconds for {_COUNT:,} enrollments", seconds, "s")
    figure(
        "CPU of client.enrollments, of bare requests + json.loads",
        took["ours"] / took["bare"],
        goal="<= 1.5",
    )
