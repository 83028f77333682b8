"""uvicorn in a thread of the node."""

import logging
import socket
import threading
from collections.abc import Callable

from edge.node.web.app import make_app
from medseg.errors import InputError


def serve_http(node) -> Callable[[], None]:
    """Listen for HTTP, as the table ``[http]`` says.

    Args:
        node: an ``edge.node.service.Node`` whose database is open.

    Returns:
        A function that ends it.

    Raises:
        InputError: if the port is in use.
    """
    import uvicorn

    http = node.config.http
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    try:
        listening = socket.create_server((http.host, http.port), family=family)
    except OSError as error:
        raise InputError(
            f"http.port: cannot listen on {http.host} port {http.port} ({error.strerror}); is it in use?"
        ) from None
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)  # it would log what clients sent
    server = uvicorn.Server(uvicorn.Config(make_app(node), log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), name="http", daemon=True)
    thread.start()

    def stop():
        server.should_exit = True
        thread.join()

    return stop
