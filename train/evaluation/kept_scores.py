"""Scores that lie already where new ones go: only those of the same question are replaced."""

from pathlib import Path

from medseg.errors import InputError
from medseg.untrusted import read_json, shown


def check_kept(path, dataset, facts: dict) -> None:
    """Require that no different scores would be overwritten; known before anything is segmented.

    Args:
        path: file that the scores go to.
        dataset: the folder that is scored.
        facts: what else tells one question from another, by its name in the file, such as {"folds": [0, 1]}; the
            "weights" only where the file knows them, which those of older versions do not.

    Raises:
        InputError: if the file holds scores of another folder or with other facts, or is no file of scores.
    """
    path = Path(path)
    if not path.exists():
        return
    content = read_json(path, "scores")
    content = content if isinstance(content, dict) else {}
    scored = content.get("dataset")
    if not isinstance(scored, str) or Path(scored).resolve() != Path(dataset).resolve():
        raise InputError(f"{path}: holds scores of {scored or 'something else'}; give another --out")
    for name, value in facts.items():
        if content.get(name) != value and (name in content or name != "weights"):
            raise InputError(
                f"{path}: holds scores of {name} {shown(content.get(name))}, these are of {shown(value)}; "
                "give another --out"
            )
