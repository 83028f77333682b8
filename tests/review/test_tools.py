"""Clicks, scribbles and boxes on phantoms: a ball in noise, found again."""

import json

import nibabel
import numpy as np
import pytest
from review_phantoms import OBLIQUE, label_file, read_nifti
from starlette.testclient import TestClient

from imaging.measure.overlap import dice
from review.segmenting import segment_case
from review.server.app import create_app
from review.service import open_service
from review.store.cases import all_cases

SHAPE = (32, 32, 16)
CENTRE = np.array([15, 16, 8])
PATH = "/api/cases/ball/tools/"
MIDDLE, OUTSIDE = CENTRE.tolist(), [[2, 2, 2], [29, 29, 13], [2, 29, 8], [29, 2, 8]]


def ball():
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return (((places - CENTRE) * [0.8, 1.1, 2.5]) ** 2).sum(axis=-1) < 8.0**2


@pytest.fixture(scope="module")
def calls(tmp_path_factory, artifact):
    folder = tmp_path_factory.mktemp("tools") / "scans"
    folder.mkdir()
    voxels = ball() + np.random.default_rng(0).normal(0, 0.05, SHAPE)
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.float32), OBLIQUE), folder / "ball.nii.gz")
    service = open_service(folder, [artifact], threads=1)
    segment_case(service, all_cases(service.database)[0])
    with TestClient(create_app(service), headers={"X-User": "Anna"}) as client:
        yield client
    service.close()


def use(calls, tool, **request):
    answer = calls.post(PATH + tool, json={"label": 7, **request})
    assert answer.status_code == 200, answer.text
    mask, affine = read_nifti(answer.content)
    assert np.allclose(affine, OBLIQUE, atol=1e-4)
    assert set(np.unique(mask)) <= {0, 1}
    return mask


@pytest.mark.parametrize("tool", ["graph-cut", "random-walker"])
def test_strokes_find_the_ball(calls, tool):
    stroke = [[MIDDLE[0] + i, MIDDLE[1], MIDDLE[2]] for i in range(-3, 4)]
    mask = use(calls, tool, foreground=stroke, background=OUTSIDE)
    assert dice(mask, ball()) > 0.85


@pytest.mark.parametrize("tool", ["clicks", "graph-cut", "random-walker", "network"])
def test_a_stroke_is_kept_whatever_the_image_says(calls, tool):
    mask = use(calls, tool, foreground=[[3, 3, 3]], background=[MIDDLE], base=1)
    assert mask[3, 3, 3] == 1
    assert mask[tuple(MIDDLE)] == 0


def test_a_click_takes_a_wrong_part_away(calls):
    wrong = ball().astype(int) * 7
    wrong[24:30, 3:9, 6:11] = 7
    calls.put("/api/cases/ball/draft?base=1&seq=1", content=label_file(wrong))
    mask = use(calls, "clicks", background=[[27, 6, 8]], base="draft")
    assert mask[26:28, 5:7, 8].sum() == 0
    assert dice(mask & ball(), ball()) == 1
    calls.delete("/api/cases/ball/draft")


def test_largest_component_and_slices_between(calls):
    labels = np.zeros(SHAPE, int)
    labels[..., 4] = labels[..., 8] = ball()[..., 8] * 7
    labels[0, 0, 0] = 7
    calls.put("/api/cases/ball/draft?base=1&seq=1", content=label_file(labels))
    largest = use(calls, "largest-component", base="draft")
    assert largest.sum() == ball()[..., 8].sum()
    between = use(calls, "interpolate", base="draft", axis=2)
    assert np.array_equal(between[..., 6], ball()[..., 8])
    calls.delete("/api/cases/ball/draft")


@pytest.mark.parametrize(
    ("tool", "request_json", "status", "reason"),
    [
        ("clicks", {"label": 7}, 422, "expected a point"),
        ("clicks", {"label": 5, "foreground": [MIDDLE]}, 422, "expected one of 7, 300"),
        ("clicks", {"label": 7, "foreground": [[1, 2]]}, 422, "three numbers"),
        ("clicks", {"label": 7, "foreground": [[1, 2, "3"]]}, 422, "three numbers"),
        ("clicks", {"label": 7, "foreground": [[1e999, 2, 3]]}, 400, ""),
        ("clicks", {"label": 7, "foreground": [[32, 0, 0]]}, 422, "outside the scan"),
        ("clicks", {"label": 7, "foreground": [MIDDLE], "background": [MIDDLE]}, 400, "as structure and as background"),
        ("clicks", {"label": 7, "foreground": [MIDDLE], "base": 9}, 404, "no version 9"),
        ("clicks", {"label": 7, "foreground": [MIDDLE], "base": "draft"}, 404, "no draft"),
        ("clicks", {"label": 7, "box": [MIDDLE]}, 422, "two corners"),
        ("interpolate", {"label": 7}, 422, "works on labels"),
        ("interpolate", {"label": 7, "base": 1, "axis": 3}, 422, "axis"),
        ("magic", {"label": 7, "foreground": [MIDDLE]}, 404, "expected one of clicks"),
    ],
)
def test_wrong_requests(calls, tool, request_json, status, reason):
    answer = calls.post(PATH + tool, content=json.dumps(request_json))
    assert answer.status_code in (status, 422)
    assert reason in answer.json()["error"]


def test_far_from_the_strokes_nothing_changes(calls):
    labels = ball().astype(int) * 7
    labels[31, 31, 15] = 7
    calls.put("/api/cases/ball/draft?base=1&seq=1", content=label_file(labels))
    mask = use(calls, "clicks", foreground=[[2, 2, 2]], base="draft")
    assert mask[31, 31, 15] == 1
    assert mask[2, 2, 2] == 1
    assert (mask.astype(bool) & ball()).sum() == ball().sum()
    calls.delete("/api/cases/ball/draft")
