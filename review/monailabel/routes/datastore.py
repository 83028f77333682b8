"""``/datastore/``: what there is; labels saved and loaded by tag."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medseg.untrusted import shown
from review.corrections import correct
from review.errors import NewerVersionError, WrongRequestError
from review.monailabel.labels import client_labels
from review.monailabel.routes.forms import params_of, read_form
from review.monailabel.routes.images import KeptError, sent
from review.monailabel.stored import all_json, status_json, train_json
from review.server.described import NIFTI, answers, form_body
from review.server.requests import user_of
from review.server.routes.context import Review
from review.store.cases import SEGMENTED, WAITING, get_case
from review.store.tags import FINAL, add_notes, check_tag, set_tag, tagged
from review.store.versions import UPLOAD, Result, change_from, save_result

router = APIRouter(tags=["MONAI Label"])
_TRIES = 5
_JSON = {"type": "string", "description": "a JSON object"}


@router.get("/datastore/")
def datastore(review: Review, output: str = "stats"):
    """Counts ("stats"), everything ("all"), or pairs for a training ("train")."""
    answers = {"stats": status_json, "all": all_json, "train": train_json}
    if output not in answers:
        raise WrongRequestError(f"output {shown(output)}: expected one of {', '.join(answers)}")
    return answers[output](review)


@router.get("/datastore/label", **answers(NIFTI))
def download(review: Review, label: str, tag: str):
    """Labels of a tag as NIfTI."""
    case = get_case(review.database, label)
    version, _ = tagged(review.database, case.id, tag)
    return sent(review.label_content(case, version)[1], f"{case.id}.nii.gz")


@router.head("/datastore/label", **answers())
def check(review: Review, tag: str, image: str = "", label: str = ""):
    """Whether there are labels of a tag."""
    tagged(review.database, get_case(review.database, image or label).id, tag)
    return Response()


@router.put("/datastore/label", openapi_extra=form_body(("label",), ("label",), params=_JSON))
async def save(request: Request, review: Review, image: str, tag: str = FINAL) -> dict:
    """Save labels; those of the tag "final" are a correction by a person."""
    case = get_case(review.database, image)
    tag = check_tag(tag or FINAL)
    fields, files = await read_form(request)
    if not files.get("label"):
        raise WrongRequestError("label: missing; send the label map as a file of the form")
    params, user = params_of(fields), _user(request, params_of(fields))
    content = files["label"][0][1]

    def keep():
        labels = client_labels(review, case, content, params)
        version, done = _save(review, case, labels, tag, user)
        set_tag(review.database, case.id, tag, version, {k: v for k, v in params.items() if k != "label_info"})
        return {"image": case.id, "label": case.id, "tag": tag, **done}

    return await run_in_threadpool(keep)


@router.get("/datastore/label/info")
def info(review: Review, label: str, tag: str) -> dict:
    """What is known of labels."""
    version, notes = tagged(review.database, get_case(review.database, label).id, tag)
    return {"version": version, **notes}


@router.put("/datastore/updatelabelinfo", openapi_extra=form_body(info=_JSON))
@router.put("/datastore/label/info", openapi_extra=form_body(info=_JSON))
async def note(request: Request, review: Review, label: str, tag: str) -> dict:
    """Add notes to labels."""
    case = get_case(review.database, label)
    fields, _ = await read_form(request)
    notes = params_of(fields, "info") | params_of(fields, "params")
    return await run_in_threadpool(add_notes, review.database, case.id, tag, notes)


@router.delete("/datastore/label")
def remove(review: Review):
    """Refused: every version stays."""
    raise KeptError("labels are never removed here; reject the case instead")


def _save(review, case, labels, tag, user):
    """A version of labels, made from the newest whatever that is: this interface knows no versions."""
    for attempt in range(_TRIES):
        case = get_case(review.database, case.id)
        base = case.version or 0
        try:
            if tag == FINAL:
                done = correct(review, case, labels, base, user)
                return done["version"], done
            before = review.label(case, base) if base else review.empty(case)
            change = change_from(base, before, labels, review.labels)
            state = SEGMENTED if case.state == WAITING else case.state
            result = Result(labels, UPLOAD, state, user=user, volumes=review.volumes(case, labels))
            version = save_result(review.database, review.workspace, case.id, result, change)
            return version, {"version": version}
        except NewerVersionError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _user(request, params):
    given = params.get("client_id") or params.get("user")
    return str(given)[:80] if given else user_of(request)
