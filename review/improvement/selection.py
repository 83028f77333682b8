"""Which cases train the next version, and which it is judged by; a patient is on one side alone."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from review.errors import WrongRequestError
from review.store.cases import ACCEPTED, CORRECTED, Case, fact
from review.store.database import Database

TEST_SHARE = 0.2
RECENT_SHARE = 0.2
FEWEST_PATIENTS = 4  # of labelled cases: one to test, two to train on, one to validate with
_FACT = "test patients"


@dataclass(frozen=True)
class Selection:
    """The cases of a training.

    Attributes:
        training: join the training set; every accepted and corrected case of patients that are in no other part.
        recent: the last corrections, held back this time, so that the new version is judged by them as well.
        test: of the fixed test patients; never trained on.
        patient_of: case to patient.
    """

    training: tuple[Case, ...]
    recent: tuple[Case, ...]
    test: tuple[Case, ...]
    patient_of: dict[str, str]


def patient_of(case: Case, known: Mapping[str, str]) -> str:
    """The patient of a case: as the user says, else DICOM's pseudonym, else the case itself.

    Args:
        case: the case.
        known: case name to patient, of ``--patients``.
    """
    return known.get(case.id) or case.origin.get("patient") or case.id


def select(database: Database, cases: Sequence[Case], patients: Mapping[str, str]) -> Selection:
    """Sort the labelled cases into training, last corrections and test.

    The test patients are drawn once, a fifth of those that there are then (by a hash of their names, at least one), and
    stay; new cases of theirs join the test. Of the corrections of other patients the last fifth is held back.

    Args:
        database: keeps the test patients.
        cases: all of them.
        patients: case name to patient, of ``--patients``; may be empty.

    Raises:
        WrongRequestError: if too few patients have labelled cases; the message says how many are missing.
    """
    labelled = [case for case in cases if case.state in (ACCEPTED, CORRECTED) and case.version is not None]
    of_case = {case.id: patient_of(case, patients) for case in labelled}
    names = sorted(set(of_case.values()), key=_hashed)
    if len(names) < FEWEST_PATIENTS:
        missing = FEWEST_PATIENTS - len(names)
        raise WrongRequestError(
            f"accepted and corrected cases of {len(names)} patients: expected at least {FEWEST_PATIENTS}; accept or "
            f"correct {missing} more"
        )
    drawn = names[: max(1, round(TEST_SHARE * len(names)))]
    fixed = set(json.loads(fact(database, _FACT, json.dumps(drawn))))
    test = tuple(case for case in labelled if of_case[case.id] in fixed)
    rest = [case for case in labelled if of_case[case.id] not in fixed]
    corrected = sorted((case for case in rest if case.state == CORRECTED), key=lambda case: case.changed)
    latest = corrected[len(corrected) - int(RECENT_SHARE * len(corrected)) :]
    held = {of_case[case.id] for case in latest}
    training = tuple(case for case in rest if of_case[case.id] not in held)
    recent = tuple(case for case in rest if of_case[case.id] in held)
    if len({of_case[case.id] for case in training}) < 2 or not test:
        raise WrongRequestError("too few patients beside the fixed test set; accept or correct cases of others")
    return Selection(training, recent, test, of_case)


def _hashed(name):
    return hashlib.sha256(name.encode()).hexdigest()
