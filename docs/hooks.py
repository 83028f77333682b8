"""Pages of the reference that MkDocs makes from the code as it builds the site, so that they cannot differ from it."""

import argparse
import dataclasses
import importlib
import re
import typing


def on_files(files, config):
    """MkDocs' event: add the pages that are made here."""
    from mkdocs.structure.files import File

    for path, content in pages().items():
        files.append(File.generated(config, path, content=content))
    return files


def pages() -> dict[str, str]:
    """Markdown by path in ``docs/``."""
    from edge.manifest import Manifest
    from imaging.classical import METHODS
    from imaging.filters import FILTERS
    from train.planning.plan import Plan
    from zoo.commands.filters import markdown
    from zoo.commands.segment import markdown as methods

    return {
        "reference/command-line.md": command_line(),
        "reference/plan.md": records("plan.json", PLAN, Plan),
        "reference/manifest.md": records("manifest.json", MANIFEST, Manifest),
        "reference/formats.md": formats(),
        "reference/filters.md": markdown(FILTERS),
        "reference/methods.md": methods(METHODS),
    }


PLAN = """What `zoo plan` writes and `zoo train` follows. Edit it freely: an unknown field, a missing one or a value of
another type is an error that names the field. `zoo plan plan.json --explain` says which rule made each decision."""

MANIFEST = """What a device must know of an artifact before it runs it. How the fields are used, as formulas:
[the recipe, step by step](recipe.md). What `source`, `fidelity` and `operators` hold:
[the artifact folder](artifact.md)."""


def command_line() -> str:
    """The page of the command line: every command with every option."""
    parts = [
        "# Command line\n",
        "Exit status: 0, 1 (it failed), 2 (asked wrongly), 130 or 143 (stopped by Ctrl-C or SIGTERM). "
        "`--json` prints what a script reads.\n",
    ]
    for words, parser in commands():
        parts.append(f"## {' '.join(words)}\n")
        parts += [_text(parser.description), f"```\n{_usage(words, parser)}\n```\n"]
        rows = [_option(action) for action in parser._actions if _is_shown(action)]
        parts.append(
            "| argument | meaning |\n|---|---|\n" + "".join(f"| {name} | {meaning} |\n" for name, meaning in rows)
        )
    return "\n".join(part for part in parts if part)


def commands():
    """Yield the words of each command, such as ("zoo", "weights", "list"), and its ``ArgumentParser``."""
    from edge.cli import build_parser
    from zoo.cli import COMMANDS

    for name, (module, _) in COMMANDS.items():
        yield from _leaves(("zoo", name), _choices(importlib.import_module(module).build_parser("zoo"))[name])
    for name, parser in _choices(build_parser("zoo-edge")).items():
        yield from _leaves(("zoo-edge", name), parser)


def _choices(parser) -> dict:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return groups[0].choices if groups else {}


def _leaves(words, parser):
    nested = _choices(parser)
    if not nested:
        yield words, parser
    for name, inner in nested.items():
        yield from _leaves((*words, name), inner)


def _is_shown(action) -> bool:
    return action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)


def _usage(words, parser) -> str:
    positional = [action for action in parser._actions if not action.option_strings and _is_shown(action)]
    required = [
        f"{action.option_strings[-1]} {_value(action)}"
        for action in parser._actions
        if action.required and action.option_strings
    ]
    named = [
        f"[{_value(a)}]" if a.nargs == "?" else f"{_value(a)} ..." if a.nargs in ("+", "*") else _value(a)
        for a in positional
    ]
    return " ".join([*words, *named, *required, "[options]"])


def _value(action) -> str:
    if action.metavar:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper() if action.option_strings else action.dest


def _option(action) -> tuple[str, str]:
    takes_value = action.option_strings and action.nargs != 0
    names = action.option_strings or [_value(action)]
    spelled = ", ".join(f"`{name}`" for name in names) + (f" `{_value(action)}`" if takes_value else "")
    return _cell(spelled), _cell((action.help or "") % {**vars(action), "prog": "zoo"} if action.help else "")


def records(title: str, intro: str, kind: type) -> str:
    """The page of a JSON file: a table of fields for a dataclass and each one that its fields are made of."""
    parts = [f"# {title}\n", intro + "\n"]
    for record in _nested(kind):
        parts += [
            f"## {record.__name__}\n",
            _text(_summary(record)),
            "| field | type | default | meaning |\n|---|---|---|---|",
        ]
        meanings = attributes(record)
        for field in dataclasses.fields(record):
            cells = (f"`{field.name}`", f"`{_type(field.type)}`", _default(field), meanings.get(field.name, ""))
            parts.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _nested(kind, seen=None) -> list[type]:
    seen = [] if seen is None else seen
    if kind in seen:
        return seen
    seen.append(kind)
    for hint in typing.get_type_hints(kind).values():
        for part in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(part):
                _nested(part, seen)
    return seen


def attributes(record: type) -> dict[str, str]:
    """What the ``Attributes:`` section of a docstring says of each field; names may share an entry."""
    _, _, section = (record.__doc__ or "").partition("Attributes:\n")
    meanings: dict[str, str] = {}
    for entry in re.split(r"\n        (?=\S)", "\n" + section.rstrip()):
        names, colon, meaning = entry.strip().partition(": ")
        if colon:
            meanings.update(dict.fromkeys(names.split(", "), " ".join(meaning.split())))
    for field in dataclasses.fields(record):
        if field.name not in meanings and field.name.endswith("_chance"):
            meanings[field.name] = f"share of patches that get `{field.name.removesuffix('_chance')}`."
        elif field.name.endswith(("_grid", "_order", "_boxes")):
            base = field.name.rpartition("_")[0]
            meanings.setdefault(field.name, f"see `{base}`.")
    return meanings


def _summary(record) -> str:
    return (record.__doc__ or "").partition("Attributes:")[0].strip()


def _type(hint) -> str:
    text = (
        hint
        if isinstance(hint, str)
        else getattr(hint, "__name__", str(hint))
        if not typing.get_args(hint)
        else str(hint)
    )
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", text)


def _default(field) -> str:
    if field.default is not dataclasses.MISSING:
        return "see below" if dataclasses.is_dataclass(field.default) else f"`{field.default!r}`"
    return "empty" if field.default_factory is not dataclasses.MISSING else "required"


def formats() -> str:
    """The page of the formats that ``zoo export`` writes."""
    from export.formats import FORMATS

    rows = []
    for item in FORMATS.values():
        calibrated = "yes" if item.quantized else "no"
        cells = (f"`{item.name}`", f"`{item.file}`", item.weights, item.activations, calibrated, item.purpose)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join((FORMATS_HEAD, *rows, ""))


FORMATS_HEAD = """# Formats

`zoo export RUN --format NAME --out OUT`, with `--format` repeated for several. `zoo export --list` prints what each
costs; [a benchmark](../benchmarks/export.md) measured that.

| format | model file | weights | activations | calibrated | for |
|---|---|---|---|---|---|"""


def _text(words) -> str:
    return (
        re.sub(r"``([^`]+)``", r"`\1`", "\n".join(line.strip() for line in (words or "").splitlines())) + "\n"
        if words
        else ""
    )


def _cell(words: str) -> str:
    words = re.sub(r"``([^`]+)``", r"`\1`", " ".join(words.split()))
    return words.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
