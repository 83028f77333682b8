"""What a person decided on stays, whatever arrives meanwhile."""

import numpy as np
import pytest
from review_phantoms import SHAPE, label_file

from edge.runtime.segmenter import Segmenter
from medseg.errors import InputError
from review.corrections import correct
from review.segmenting import Segmenting
from review.store.cases import all_cases, get_case

PARAMS = {"params": '{"save_label": true}'}


@pytest.mark.parametrize("decision", [{"action": "accept"}, {"action": "reject", "reason": "motion"}])
def test_labels_that_are_no_correction_are_refused(client, decision):
    client.post("/api/cases/case_a/decision", json=decision | {"version": 1})
    files = {"label": ("label.nii.gz", label_file(np.zeros(SHAPE)))}
    for answer in (
        client.put("/datastore/label?image=case_a&tag=second", files=files),
        client.post("/infer/graded?image=case_a", data=PARAMS),
    ):
        assert answer.status_code == 409
        assert f"case case_a: was {decision['action']}ed by a person" in answer.json()["error"]
    case = client.get("/api/cases/case_a").json()
    assert (case["state"], case["version"]) == (f"{decision['action']}ed", 1)
    client.post("/api/cases/case_a/decision", json={"action": "reopen", "version": 1})
    assert client.post("/infer/graded?image=case_a", data=PARAMS).status_code == 200
    assert client.get("/api/cases/case_a").json()["version"] == 2


@pytest.mark.parametrize("fails", [False, True])
def test_network_that_ends_after_a_person_drew_the_case(service, monkeypatch, fails):
    case, predict = all_cases(service.database)[0], Segmenter.predict_file
    labels = service.parse_labels(case, label_file(7 * np.ones(SHAPE)))

    def slowly(segmenter, *given, **options):
        correct(service, case, labels, 0, "Anna")
        if fails:
            raise InputError("no memory")
        return predict(segmenter, *given, **options)

    monkeypatch.setattr(Segmenter, "predict_file", slowly)
    Segmenting(service)._handle(case)
    now = get_case(service.database, case.id)
    assert (now.state, now.version, now.user, now.error) == ("corrected", 1, "Anna", None)
