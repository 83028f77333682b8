"""What the server's OpenAPI description says is what it does: requests drawn from it are never answered by a fault."""

import pytest
import schemathesis
from described import draw_requests
from schemathesis import GenerationMode

from review.improvement.improver import Improver
from review.server.app import create_app

# So that requests reach what lies behind a name.
KNOWN = {"case_id": "case_a", "image": "case_a", "label": "case_a", "tag": "original", "tool": "clicks"}


def refuse_commands(*_):
    raise AssertionError("a test must not start a training")


@pytest.mark.parametrize(("mode", "least"), [(GenerationMode.POSITIVE, 58), (GenerationMode.NEGATIVE, 35)])
def test_requests_drawn_from_the_description(segmented, mode, least):
    app = create_app(segmented, improver=Improver(segmented, make=refuse_commands))
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    assert len(draw_requests(schema, mode, KNOWN)) >= least
