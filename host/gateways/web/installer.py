"""The installer page: MicroPython onto a board from the browser, for people without Python.

The manifest has the form of ESP Web Tools (https://esphome.github.io/esp-web-tools/), with an MD5
and a size for each part on top. Only images that are on this machine already are offered: the page
never waits for the internet.
"""

from __future__ import annotations

import hashlib
from asyncio import to_thread
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from host.devices import image_lock, images
from host.devices.boards import Board, list_boards, load_board
from host.devices.errors import DeviceError
from host.devices.flash_layout import Layout, Part, take_apart
from host.devices.image_file import check, version_key
from host.gateways.web.security import problem

PAGE = Path(__file__).with_name("static") / "installer.html"
GET_IMAGE = (
    "fetch it here, once, with internet: ./run flash --board {} --dry-run (no board is needed)"
)


@dataclass(frozen=True)
class Ready:
    """A board whose image is here, checked and taken apart."""

    board: Board
    version: str
    layout: Layout


class Installer:
    """The routes. Images come from `cache`, as `lock` names them."""

    def __init__(self, lock: Path = images.LOCK, cache: Path = images.CACHE) -> None:
        self._lock = lock
        self._cache = cache
        self.routes = [
            Route("/install", page, methods=["GET"]),
            Route("/install/", page, methods=["GET"]),
            Route("/install/boards.json", self.boards, methods=["GET"]),
            Route("/install/{board}/manifest.json", self.manifest, methods=["GET"]),
            Route("/install/{board}/{offset:int}.bin", self.part, methods=["GET"]),
        ]

    def ready(self, board: Board) -> Ready:
        """The newest image for `board` on this machine. Raises DeviceError if there is none."""
        if board.image is None or board.flash is None:
            raise DeviceError(f"a {board.name} board is not flashed")
        entries = [each for each in image_lock.read(self._lock) if each.name == board.image.stem]
        for entry in sorted(entries, key=lambda each: version_key(each.version), reverse=True):
            try:
                data = (self._cache / entry.file_name).read_bytes()
            except OSError:
                continue
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                raise DeviceError(f"{entry.file_name} is damaged; {GET_IMAGE.format(board.name)}")
            check(data, board, entry.file_name)
            return Ready(board, entry.version, take_apart(data, board.flash.offset))
        raise DeviceError(f"no image on this machine yet; {GET_IMAGE.format(board.name)}")

    def offer(self, board: Board) -> dict[str, Any]:
        """What the page shows of a board: `version` of its image, or null and the `problem`."""
        shown: dict[str, Any] = {"name": board.name, "title": board.title, "chip": board.chip}
        shown["usb"] = [{"usbVendorId": vid, "usbProductId": pid} for vid, pid in board.usb_ids]
        try:
            return {**shown, "version": self.ready(board).version, "problem": None}
        except DeviceError as error:
            return {**shown, "version": None, "problem": str(error)}

    async def boards(self, request: Request) -> Response:
        kinds = [load_board(name) for name in list_boards()]
        flashed = [kind for kind in kinds if kind.flash and kind.usb_ids]
        return JSONResponse({"boards": [await to_thread(self.offer, kind) for kind in flashed]})

    async def manifest(self, request: Request) -> Response:
        try:
            return JSONResponse(manifest(await self._asked(request)))
        except DeviceError as error:
            return problem(HTTPStatus.NOT_FOUND, str(error))

    async def part(self, request: Request) -> Response:
        try:
            found = await self._asked(request)
        except DeviceError as error:
            return problem(HTTPStatus.NOT_FOUND, str(error))
        for each in found.layout.parts:
            if each.offset == request.path_params["offset"]:
                return Response(_padded(each.data), media_type="application/octet-stream")
        return problem(HTTPStatus.NOT_FOUND, "no such part")

    async def _asked(self, request: Request) -> Ready:
        return await to_thread(self.ready, load_board(request.path_params["board"]))


async def page(request: Request) -> Response:
    """The page's own addresses are relative: it needs the slash."""
    if not request.url.path.endswith("/"):
        return RedirectResponse("/install/", HTTPStatus.SEE_OTHER)
    return FileResponse(PAGE)


def manifest(found: Ready) -> dict[str, Any]:
    """For the browser's flasher: parts with path, offset, size and MD5 as the chip computes it."""
    board = found.board
    build = {"chipFamily": board.pins.chip, "parts": [_part(each) for each in found.layout.parts]}
    return {
        "name": f"MicroPython for {board.title}",
        "version": found.version,
        "new_install_prompt_erase": False,
        "flash_bytes": found.layout.end,
        "builds": [build],
    }


def _part(part: Part) -> dict[str, Any]:
    data = _padded(part.data)
    digest = hashlib.md5(data).hexdigest()
    return {"path": f"{part.offset}.bin", "offset": part.offset, "size": len(data), "md5": digest}


def _padded(data: bytes) -> bytes:
    # To whole words: what is written, and so what the chip's MD5 is of.
    return data + b"\xff" * (-len(data) % 4)
