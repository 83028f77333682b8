"""Folders of empty files with a ``dataset.json``."""

import json


def touch(path):
    """An empty file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def write_json(folder, **description):
    """A ``dataset.json`` of one class and one channel, with changes."""
    description = {"labels": {"background": 0, "liver": 1}, "channel_names": {"0": "CT"}, **description}
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def write_case(folder, image, label):
    """The empty files of a case, and its entry of a datalist."""
    touch(folder / image)
    touch(folder / label)
    return {"image": image, "label": label}
