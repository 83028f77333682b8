"""A review of three oblique phantoms by a network whose answer is known in closed form."""

import pytest
from page_browser import Person, Server, chromium
from page_cases import counts, save_case
from review_phantoms import build_artifact, wait_for, write_scans
from servers import program
from starlette.testclient import TestClient


@pytest.fixture(scope="session")
def artifact(tmp_path_factory):
    """An artifact folder; tests must not change it."""
    return build_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture
def service(tmp_path, artifact):
    """A review that segments nothing by itself."""
    from review.service import open_service

    write_scans(tmp_path / "scans")
    opened = open_service(tmp_path / "scans", [artifact], threads=1)
    yield opened
    opened.close()


@pytest.fixture
def segmented(service):
    """The same with every case segmented."""
    from review.segmenting import segment_case
    from review.store.cases import all_cases

    for case in all_cases(service.database):
        segment_case(service, case)
    return service


@pytest.fixture
def client(segmented):
    """A browser's calls to it."""
    from review.server.app import create_app

    with TestClient(create_app(segmented), headers={"X-User": "Anna"}) as calls:
        yield calls


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium; tests are skipped without it."""
    with chromium(program("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory, artifact, request):
    """``zoo review`` on the segmented ``CASES`` of the test file."""
    folder = tmp_path_factory.mktemp("page") / "scans"
    folder.mkdir()
    for case in request.module.CASES:
        save_case(folder, case)
    started = Server(folder, artifact)
    wait_for(lambda: counts(started).get("segmented", 0) == len(request.module.CASES), 60)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def anna(browser, server):
    """Somebody on its page, in one window for all tests of the file."""
    person = Person(browser, server.address)
    yield person
    person.context.close()
    assert person.faults == []
