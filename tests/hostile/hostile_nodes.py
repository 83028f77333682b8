"""Configurations of nodes that are traps, and the files that they name."""

from hostile_scans import NO_FILES, itself

_KINDS = b"node = 1\ndicom = []\nhttp = 'a'\nretry = 1.0\ncaller = {}\nrule = [1]\ndestination = 2"


def config(**more) -> bytes:
    """A configuration without a mistake but what is given: table to lines of it; ``rule`` adds to its one rule."""
    tables = {"node": ["folder = 'node'"], "dicom": ["any_caller = true"], "http": ["port = 0"]}
    tables = {name: [*lines, *more.pop(name, ())] for name, lines in tables.items()}
    text = "".join(f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in tables.items())
    rule = ["name = 'r'", *more.pop("rule", ["artifact = 'unet3d-hippocampus'"])]
    assert set(more) <= {"end"}
    return (text + "[[rule]]\n" + "\n".join(rule) + "\n" + more.get("end", "")).encode()


CONFIGS = {
    "empty": lambda: b"",
    "no text": lambda: bytes(range(256)),
    "nested": lambda: b"a = " + b"[" * 100_000,
    "nested tables": lambda: b"[" + b".".join([b"a"] * 20_000) + b"]",
    "too large": lambda: b"#" * (2 * 2**20),
    "all of another kind": lambda: _KINDS,
    "control characters": lambda: b'[node]\nfolder = "\\u001b[31m\\u0007"\n["\\u001b"]\n',
    "endless numbers": lambda: b"[node]\nfolder = 'a'\nworkers = " + b"9" * 10_000,
    "keys of many dots": lambda: b".".join([b"a"] * 30_000) + b" = 1",
    "keys of many dots inside": lambda: b"a = {" + b" . ".join([b"a"] * 30_000) + b" = 1}",
    "tables of many dots": lambda: b"".join(b"[" + b".".join([b"a"] * 300) + b".b%d]\n" % n for n in range(150)),
    "inline tables, nested": lambda: b"a = " + b"{b = " * 20_000,
    "unknown keys": lambda: b"".join(b"k%d=1\n" % n for n in range(12_000)),
    "an unknown key of 100 kB": lambda: b"k" * 100_000 + b" = 1",
    "rules of one name": lambda: config(end="[[rule]]\nname='r'\nartifact=''\n" * 4000),
    "destinations that there are not": lambda: config(
        rule=["artifact = 'x'", f"destinations = {['y'] * 10_000}"],
        end="".join(f"[[destination]]\nname='d{n}'\n" for n in range(2000)),
    ),
    "addresses that are none": lambda: config(end=f"[[caller]]\ntitle = 'A'\naddresses = {['x'] * 20_000}\n"),
    "folder with a zero byte": lambda: config(node=["\n[other]"]).replace(b"'node'", b'"a\\u0000b"'),
    "token file with a zero byte": lambda: config(http=['token_file = "a\\u0000b"']),
    "artifact with a zero byte": lambda: config(rule=['artifact = "a\\u0000b"']),
    "artifact of a long name": lambda: config(rule=[f"artifact = '{'a' * 100_000}'"]),
    "folder of a long name": lambda: config().replace(b"'node'", b"'" + b"a" * 100_000 + b"'"),
    "folder of many parts": lambda: config().replace(b"'node'", b"'" + b"a/" * 50_000 + b"'"),
    "folder that is a file": lambda: config().replace(b"'node'", b"'node.toml'"),
    "token file of a long name": lambda: config(http=[f"token_file = '{'a' * 100_000}'"]),
    "numbers beyond all": lambda: config(dicom=["quiet_seconds = inf"], node=["keep_hours = nan"]),
    "dates": lambda: config(http=["host = 1979-05-27", "max_mb = 07:32:00"]),
    "a folder of keys that holds none": lambda: config(rule=["artifact = 'unet3d-hippocampus'", "trust = '.'"]),
}  # fmt: skip

_NAMED = {
    "token file": lambda name: config(http=[f"token_file = '{name}'"]),
    "certificate": lambda name: config(dicom=[f"certificate = '{name}'", f"key = '{name}'"]),
    "authorities": lambda name: config(
        end=f"[[destination]]\nname = 'd'\ntitle = 'A'\nhost = 'h'\nport = 1\nauthorities = '{name}'\n"
    ),
    "token of a destination": lambda name: config(
        end=f"[[destination]]\nname = 'd'\nkind = 'stow'\nurl = 'https://h/'\ntoken_file = '{name}'\n"
    ),
    "codes": lambda name: config(rule=["artifact = 'unet3d-hippocampus'", f"codes = '{name}'"]),
    "key of trust": lambda name: config(rule=["artifact = 'unet3d-hippocampus'", f"trust = '{name}'"]),
    "artifact": lambda name: config(rule=[f"artifact = '{name}'"]),
}


def many_bytes(path):
    """A file of 3 GB, which takes no room on the disk."""
    with open(path, "wb") as file:
        file.truncate(3 * 2**30)


# What a configuration names, and what lies there: (configuration, trap).
NAMED = {
    f"{file} a {kind}": (make, trap)
    for file, make in _NAMED.items()
    for kind, trap in (NO_FILES | {"loop": itself, "file of 3 GB": many_bytes}).items()
}
