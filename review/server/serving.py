"""Listening, and the end of it."""

import contextlib
import errno
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from dataclasses import replace

from medseg.errors import InputError
from review.improvement.improver import Improver
from review.server.app import create_app
from review.server.settings import Settings


@contextlib.contextmanager
def bind(settings: Settings) -> Iterator[socket.socket]:
    """A socket that listens, before anything else is done.

    Raises:
        InputError: if the port is in use, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
            listener.listen(256)
        except OSError as error:
            raise InputError(f"--port {settings.port} at {settings.host}: {_reason(error)}") from None
        yield listener
    finally:
        listener.close()


def serve(improver: Improver, settings: Settings, listener: socket.socket, browser: bool = True) -> int:
    """Serve until Ctrl+C or SIGTERM; then the background work is stopped and everything closed.

    Args:
        improver: of the open review, which is closed at the end.
        settings: of the server.
        listener: the socket that ``bind`` gave.
        browser: open the page.
    """
    import uvicorn

    service = improver.service
    settings = replace(settings, port=listener.getsockname()[1])
    config = uvicorn.Config(
        create_app(service, settings, improver), log_level="warning", access_log=False, server_header=False,
        ssl_certfile=settings.certificate, ssl_keyfile=settings.key, timeout_graceful_shutdown=5,
    )  # fmt: skip
    address = settings.address + ("" if settings.token is None else "?token=...")
    print(
        f"{service.workspace.scans}: review at {address}, files in {service.workspace.root}; Ctrl+C ends it", flush=True
    )
    service.start()
    if browser:
        page = settings.address + ("" if settings.token is None else f"?token={settings.token}")
        threading.Timer(0.5, webbrowser.open, (page,)).start()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        improver.stop()
        service.close()
        sys.stdout.flush()
    return 0


def _reason(error):
    if error.errno == errno.EADDRINUSE:
        return "is in use; end the program that listens there, or give another --port"
    if error.errno == errno.EACCES:
        return "may not be used by this user; give a port above 1023"
    return f"cannot be listened at ({error.strerror or error})"
