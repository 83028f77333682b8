"""Dataset folders, plans and run records that are traps."""

import json
from pathlib import Path

from hostile_scans import device, itself, nifti, pipe, zeros_gz

LABELS = {"0": "background", "1": "ball"}


def msd(training, **more):
    """A dataset of the Medical Segmentation Decathlon's layout with this list of cases and one real case."""

    def make(folder):
        write(folder, {"labels": LABELS, "modality": {"0": "MRI"}, "numTraining": 6, "training": training, **more})

    return make


def write(folder, description) -> Path:
    """The folders with six cases, and a description: text or JSON types."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
        for number in range(6):
            (folder / part / f"case_{number}.nii").write_bytes(nifti())
    text = description if isinstance(description, bytes) else json.dumps(description).encode()
    (folder / "dataset.json").write_bytes(text)
    return folder


def case(image="./imagesTr/case_0.nii", label="./labelsTr/case_0.nii", **more):
    """An entry of the list."""
    return {"image": image, "label": label, **more}


def raw(text):
    """A dataset whose description is this text."""
    return lambda folder: write(folder, text())


def instead(name, trap):
    """A dataset with a trap in a file's place."""

    def make(folder):
        listed = [case(f"./imagesTr/case_{n}.nii", f"./labelsTr/case_{n}.nii") for n in range(6)]
        msd(listed)(folder)
        (folder / name).unlink()
        trap(folder / name)

    return make


def bomb(path):
    """A packed scan that never ends, by the name of a plain one."""
    path.write_bytes(zeros_gz(2**32))


DATASETS = {
    "case by a path upwards": msd([case("../../../../etc/passwd")]),
    "case by an absolute path": msd([case("/etc/passwd", "/etc/passwd")]),
    "label by a path upwards": msd([case(label="../outside.nii")]),
    "image a number": msd([case(5)]),
    "list a number": msd(5),
    "list of numbers": msd([5, 6]),
    "case without an image": msd([{"label": "./labelsTr/case_0.nii"}]),
    "image with a zero byte": msd([case("./imagesTr/case\0.nii")]),
    "labels a number": msd([case()], labels=5),
    "labels of lists": msd([case()], labels={"0": ["a"], "1": {"a": 1}}),
    "label value of many digits": msd([case()], labels={"0": "background", "9" * 5000: "ball"}),
    "modality a number": msd([case()], modality=5),
    "description deep": raw(lambda: b'{"labels":' * 50_000),
    "description of many lists": raw(lambda: b'{"training": [' + b"[]," * 5_000_000 + b"[]]}"),
    "description of 100 MB": raw(lambda: b" " * 10**8),
    "description a list": raw(lambda: b"[]"),
    "description not UTF-8": raw(lambda: b"\xff\xfe"),
    "description empty": raw(lambda: b""),
    "description a device": instead("dataset.json", device),
    "description a pipe": instead("dataset.json", pipe),
    "description a loop": instead("dataset.json", itself),
    "scan a device": instead("imagesTr/case_3.nii", device),
    "scan a pipe": instead("imagesTr/case_3.nii", pipe),
    "scan a loop": instead("labelsTr/case_3.nii", itself),
    "scan a bomb": instead("imagesTr/case_3.nii", bomb),
}

_PLAN = {
    "dataset": "d", "labels": [{"name": "background", "value": 0}, {"name": "ball", "value": 1}], "channels": ["MRI"],
    "recipe": {"rank": 3, "orientation": "RAS"}, "network": {"name": "unet3d"}, "patch": [16, 16, 16], "overlap": 0.5,
    "training": {}, "folds": [["case_0"]],
}  # fmt: skip


def plan(**fields):
    """A plan with fields replaced."""
    return lambda: json.dumps(_PLAN | fields).encode()


PLANS = {
    "plan deep": lambda: b"[" * 100_000,
    "plan of many lists": lambda: b'{"folds": [' + b"[]," * 5_000_000 + b"[]]}",
    "plan empty": lambda: b"",
    "plan a list": lambda: b"[]",
    "plan not UTF-8": lambda: b"\xff\xfe",
    "plan overlap NaN": plan(overlap=float("nan")),
    "plan rate of many digits": lambda: b'{"overlap": 1' + b"0" * 100_000 + b"}",
    "plan rate infinite": plan(training={"learning_rate": float("inf")}),
    "plan patch a word": plan(patch="big"),
    "plan folds a number": plan(folds=5),
    "plan of unknown fields": plan(**{f"field{i}": i for i in range(1000)}),
}

_ROWS = b'{"cases": {"a": {"x": {"dice": 1}}}}'

SCORES = {
    "scores deep": lambda: b"[" * 100_000,
    "scores of many lists": lambda: b'{"cases": [' + b"[]," * 5_000_000 + b"[]]}",
    "scores of 100 MB": lambda: b" " * 10**8,
    "scores not UTF-8": lambda: b"\xff\xfe",
    "scores a list": lambda: b"[]",
    "scores of words": lambda: _ROWS.replace(b": 1}", b': "x"}'),
    "scores of truth values": lambda: _ROWS.replace(b": 1}", b": true}"),
    "scores of patients a number": lambda: _ROWS[:-1] + b', "patients": 5}',
    "scores of many digits": lambda: _ROWS.replace(b": 1}", b": 1" + b"0" * 100_000 + b"}"),
}
"""``metrics.json``, by what is wrong with it."""

SUMMARIES = {
    "summary deep": lambda: b"[" * 100_000,
    "summary of many lists": lambda: b'{"postprocessing": [' + b"[]," * 5_000_000 + b"[]]}",
    "summary of 100 MB": lambda: b" " * 10**8,
    "summary not UTF-8": lambda: b"\xff\xfe",
    "summary a list": lambda: b"[]",
    "summary of no decision": lambda: b"{}",
    "summary of a number": lambda: b'{"postprocessing": 5}',
}
"""``summary.json`` of a cross-validation, by what is wrong with it."""

SITES = {
    "sites empty": lambda: b"",
    "sites not UTF-8": lambda: b"\xff\xfe",
    "sites of 100 MB": lambda: b"case,site\n" + b"a,b\n" * 25_000_000,
    "sites of a long cell": lambda: b"case,site\na," + b"x" * 10**6,
    "sites of many columns": lambda: b"case," + b",".join(b"c%d" % n for n in range(100_000)),
    "sites with zero bytes": lambda: b"case,site\na,\0\0\nb",
    "sites of an open quote": lambda: b'case,site\na,"b',
}
"""A CSV file of sites, by what is wrong with it."""
