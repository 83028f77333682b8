"""What a review server holds after ``review_load.py``, against what it acknowledged."""

import collections
import csv
import io
from pathlib import Path
from urllib.parse import quote

from review_load import Client, number_in, reader_of


def check(address: str, clients: list[Client], final: Path) -> list[str]:
    """What the server holds against what it acknowledged; returns what is wrong, a line each."""
    reader = reader_of(address)
    wrong = [client.fault for client in clients if client.fault]
    for (kind, status), count in collections.Counter(
        (kind, status) for client in clients for kind, status, _ in client.answers
    ).items():
        allowed = {"draft": (200, 409), "decide": (200, 409, 412), "send": (200, 412)}.get(kind, (200,))
        if status not in allowed:
            wrong.append(f"{count} requests of kind {kind} were answered {status}")
    trail = list(csv.DictReader(io.StringIO(reader.ask("audit", "GET", "/api/audit.csv")[1].decode())))
    saved = [(case, version, number, c.name) for c in clients for case, version, number in c.saved]
    for case in {row["case"] for row in trail if row["case"]}:
        _, detail = reader.ask("case", "GET", f"/api/cases/{case}")
        numbers = numbers_of_versions(reader, case, detail)
        wrong += check_versions(case, detail, numbers, clients, [row[1:] for row in saved if row[0] == case])
        wrong += check_drafts(reader, case, detail, clients)
        wrong += check_lost_drafts(case, detail, numbers, clients)
        wrong += check_trail(case, [row for row in trail if row["case"] == case], clients)
        finals = [
            int(row["version"]) for row in trail if row["case"] == case and row["action"] in ("correct", "accept")
        ]
        if finals:
            path = f"/api/cases/{case}/label.nii?version={max(finals)}"
            expected = number_in(reader.ask("label", "GET", path)[1])
            if number_in((final / f"{case}.nii.gz").read_bytes()) != expected:
                wrong.append(f"{case}: the file for other programs is not version {max(finals)}")
    reader.line.close()
    return wrong


def numbers_of_versions(reader, case, detail) -> dict[int, int]:
    """Version to the number that its labels carry, of all that a client sent."""
    path = f"/api/cases/{case}/label.nii?version="
    return {
        row["version"]: number_in(reader.ask("label", "GET", f"{path}{row['version']}")[1])
        for row in detail["versions"][1:]
    }


def check_versions(case, detail, numbers, clients, saved) -> list[str]:
    """Each acknowledged label is one version, each version was acknowledged, and each was made from the one before."""
    wrong = []
    versions = detail["versions"]
    if [row["version"] for row in versions] != list(range(1, len(versions) + 1)) or detail["version"] != len(versions):
        wrong.append(f"{case}: the versions are not counted from 1 without a gap")
    if len({version for version, _, _ in saved}) != len(saved):
        wrong.append(f"{case}: a version was acknowledged twice")
    if {row["version"] for row in versions[1:]} != {version for version, _, _ in saved}:
        wrong.append(f"{case}: the versions kept are not those acknowledged")
    mine = {number for client in clients for name, number in client.sent if name == case}
    for row in versions[1:]:
        if row["base"] != row["version"] - 1:
            wrong.append(f"{case}: version {row['version']} overwrote what was made from {row['base']}")
    if len(set(numbers.values())) != len(numbers) or not set(numbers.values()) <= mine:
        wrong.append(f"{case}: a label was kept twice, or is none that was sent for it")
    for version, number, name in saved:
        if numbers.get(version) != number:
            wrong.append(f"{case}: version {version} of {name} holds another label than was sent")
    return wrong


def check_drafts(reader, case, detail, clients) -> list[str]:
    """Each draft that is kept is the label that was acknowledged under its mark."""
    wrong = []
    for draft in detail["drafts"]:
        content = reader.ask("draft", "GET", f"/api/cases/{case}/draft?of={quote(draft['user'])}")[1]
        numbers = [
            number for client in clients if client.name == draft["user"]
            for name, mark, _, number in client.drafts if (name, mark) == (case, mark_of(draft))
        ]  # fmt: skip
        if not isinstance(content, bytes) or number_in(content) not in numbers:
            wrong.append(
                f"{case}: draft {mark_of(draft)} of {draft['user']}: expected the label acknowledged, got another"
            )
    return wrong


def check_lost_drafts(case, detail, numbers, clients) -> list[str]:
    """Each draft that was acknowledged is kept, is a version, or was replaced by one that had seen it."""
    kept = {(draft["user"], mark_of(draft)) for draft in detail["drafts"]}
    sent = [(client.name, *draft[1:]) for client in clients for draft in client.drafts if draft[0] == case]
    replaced = {(name, seen) for name, _, seen, _ in sent}
    return [
        f"{case}: draft {mark} of {name} was acknowledged and is lost"
        for name, mark, _, number in sent
        if (name, mark) not in kept | replaced and number not in numbers.values()
    ]


def mark_of(draft: dict) -> str:
    """What tells a draft from all others of its user and case."""
    return f"{draft['window']}/{draft['seq']}"


def check_trail(case, trail, clients) -> list[str]:
    """The trail has each decision once, about the version that was the newest then."""
    wrong, newest = [], 1
    for row in trail:
        if row["action"] == "correct":
            newest = int(row["version"])
        elif row["action"] in ("accept", "reject", "reopen") and int(row["version"]) != newest:
            wrong.append(f"{case}: {row['action']} of version {row['version']} while {newest} was the newest")
    acknowledged = collections.Counter(
        (v, action) for client in clients for name, v, action in client.decided if name == case
    )
    kept = collections.Counter(
        (int(row["version"]), row["action"]) for row in trail if row["action"] in ("accept", "reject", "reopen")
    )
    if acknowledged != kept:
        wrong.append(f"{case}: the trail has other decisions than were acknowledged")
    return wrong
