"""``zoo models`` and ``zoo info``: the registry on the command line, without importing a framework."""

import argparse
import dataclasses

import zoo
from medseg import command

EDGE = {
    "int8": "int8: every multiplication runs in int8 on the device",
    "partial": "partial: its convolutions run in int8 on the device",
    "float": "float",
}


def build_parser(prog: str = "zoo") -> argparse.ArgumentParser:
    """The parser of ``models`` and ``info``."""
    parser = argparse.ArgumentParser(prog=prog)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_models(subparsers)
    _add_info(subparsers)
    return parser


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``models`` or ``info``; returns the exit status."""
    return command.run(build_parser(prog), argv)


def _add_models(subparsers):
    parser = subparsers.add_parser("models", help="list the networks")
    parser.add_argument("pattern", nargs="?", default="*", help="wildcard on the name, for example '*3d*'")
    parser.add_argument("--tag", action="append", help="tag that an entry must carry, for example edge; repeatable")
    parser.add_argument("--weights", action="store_true", help="list the shipped weights instead")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(handler=run_models)


def run_models(args) -> int:
    """Handle ``zoo models``."""
    if args.weights:
        from zoo.commands.weights import list_sets

        return list_sets(args.pattern, args.json, args.tag or ())
    infos = [zoo.info(name) for name in zoo.list_models(args.pattern, args.tag)]
    if args.json:
        command.emit_json([_plain(info) for info in infos])
        return 0
    if not infos:
        print(f"no network is called {args.pattern}" + (f" with tag {', '.join(args.tag)}" if args.tag else ""))
        return 1
    print(f"{'name':24} {'rank':4} {'parameters':>11} {'GMAC':>8}  {'edge':8} summary")
    for info in infos:
        macs = f"{info.macs / 1e9:8.2f}" if info.macs else " " * 8
        parameters = f"{info.parameters:11,}" if info.parameters else " " * 11
        print(f"{info.name:24} {info.rank}D   {parameters} {macs}  {info.edge:8} {info.summary}")
    command.next_command("zoo info", infos[0].name)
    return 0


def _add_info(subparsers):
    parser = subparsers.add_parser("info", help="what is known of a network")
    parser.add_argument("name", help="see zoo models")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(handler=run_info)


def run_info(args) -> int:
    """Handle ``zoo info``."""
    info = zoo.info(args.name)
    facts = {**_plain(info), "weights": [card.name for card in zoo.weights.list_weights(info.name)]}
    if args.json:
        command.emit_json(facts)
        return 0
    lines = {name: text for name, text in _summary(info, facts["weights"]).items() if text}
    width = max(map(len, lines))
    for name, text in lines.items():
        print(f"{name:{width}}  {text}")
    command.next_command("zoo train DATASET --model", info.name, "--out", "RUN")
    return 0


def _summary(info, weights) -> dict[str, str]:
    """What a person wants to know, a line each."""
    lines = {
        "name": f"{info.name}, {info.rank}D",
        "summary": info.summary,
        "paper": info.paper,
        "tags": ", ".join(info.tags),
        "edge": EDGE[info.edge],
        "options": ", ".join(f"{name} {value}" for name, value in info.options.items()),
        "weights": ", ".join(f"{info.name}-{name}" for name in weights) or "none shipped",
    }
    if info.parameters is None:
        return lines
    *spatial, channels = info.input_shape
    divides = set(info.multiple) != {1}
    lines["sizes"] = f"divide by {_by(info.multiple)}; others are padded inside the network" if divides else "any"
    lines["parameters"] = f"{info.parameters:,}"
    lines["cost"] = (
        f"{info.macs / 1e9:.2f} GMAC and {info.peak_activation_bytes / 2**20:.1f} MB of float32 activations for "
        f"{_by(spatial)} voxels of {channels} channel{'s' * (channels > 1)} and {info.classes} classes"
    )
    return lines


def _by(sizes) -> str:
    return " x ".join(map(str, sizes))


def _plain(info) -> dict:
    return {**{f.name: getattr(info, f.name) for f in dataclasses.fields(info)}, "options": dict(info.options)}
