"""Values of a node's configuration that cannot work; found before anything is started."""

import ipaddress
from collections import Counter

from edge.dicom.kinds import KINDS
from medseg.untrusted import shown, split_address

_NAMED = 8  # names of destinations that a message lists
_LONGEST_TITLE = 16  # of the value representation AE
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def value_mistakes(config) -> list[str]:
    """A line for every value that cannot work.

    Args:
        config: ``edge.node.config.Config``.
    """
    checks = (_node, _dicom, _callers, _http, _destinations, _rules, _retry)
    return [mistake for check in checks for mistake in check(config)]


def _node(config):
    node = config.node
    yield from _between("node.workers", node.workers, 1, 256)
    yield from _between("node.threads", node.threads, 1, 256)
    yield from _between("node.keep_hours", node.keep_hours, 0, 24 * 366)
    yield from _between("node.free_mb", node.free_mb, 0, 10**9)


def _dicom(config):
    dicom = config.dicom
    yield from _title("dicom.title", dicom.title)
    yield from _between("dicom.port", dicom.port, 1, 65535)
    yield from _between("dicom.quiet_seconds", dicom.quiet_seconds, 0.1, 86400)
    yield from _between("dicom.associations", dicom.associations, 1, 1000)
    yield from _address("dicom.host", dicom.host)
    if dicom.count and not (dicom.count.isascii() and dicom.count.isalnum()):
        yield f"dicom.count: expected the keyword of a DICOM attribute, got {shown(dicom.count)}"
    if bool(dicom.certificate) != bool(dicom.key):
        given, lacking = ("certificate", "key") if dicom.certificate else ("key", "certificate")
        yield f"dicom.{lacking}: is missing; TLS needs it beside dicom.{given}"
    if dicom.authorities and not dicom.certificate:
        yield "dicom.certificate: is missing; TLS needs it beside dicom.authorities"


def _callers(config):
    if not config.caller and not config.dicom.any_caller:
        yield "caller: nobody may send; add a [[caller]], or set dicom.any_caller = true"
    yield from _twice("caller", "title", [each.title for each in config.caller])
    for number, caller in enumerate(config.caller, 1):
        where = f"caller[{number}]"
        yield from _title(f"{where}.title", caller.title)
        for address in caller.addresses:
            try:
                ipaddress.ip_network(address, strict=False)
            except ValueError:
                yield f"{where}.addresses: expected addresses such as 10.0.0.5 or 10.0.0.0/24, got {shown(address)}"
        if bool(caller.host) != bool(caller.port):
            yield f"{where}: storage commitment needs host and port, both"
        if caller.port:
            yield from _between(f"{where}.port", caller.port, 1, 65535)


def _http(config):
    http = config.http
    yield from _between("http.port", http.port, 0, 65535)
    yield from _between("http.max_mb", http.max_mb, 1, 10**6)
    yield from _address("http.host", http.host)
    if http.port and http.host not in LOOPBACK and http.token_file is None:
        yield f"http.token_file: is missing; beyond this machine ({shown(http.host)}) requests need a token"
    if http.port and http.port == config.dicom.port and http.host == config.dicom.host:
        yield f"http.port: {http.port} is dicom.port, too; choose another"


def _destinations(config):
    yield from _twice("destination", "name", [each.name for each in config.destination])
    for number, each in enumerate(config.destination, 1):
        where = f"destination[{number}]"
        if not each.name:
            yield f"{where}.name: is empty"
        if each.kind == "dicom":
            yield from _title(f"{where}.title", each.title)
            yield from _address(f"{where}.host", each.host)
            yield from _between(f"{where}.port", each.port, 1, 65535)
        elif each.kind == "stow":
            parts = split_address(each.url)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                yield f"{where}.url: expected a URL such as https://archive/dicom-web, got {shown(each.url)}"
        else:
            yield f"{where}.kind: expected dicom or stow, got {shown(each.kind)}"


def _rules(config):
    if not config.rule:
        yield "rule: nothing would be segmented; add a [[rule]]"
    yield from _twice("rule", "name", [each.name for each in config.rule])
    names = dict.fromkeys(each.name for each in config.destination)
    known = ", ".join(shown(name)[1:-1] for name in list(names)[:_NAMED]) or "none"
    known += ", ..." if len(names) > _NAMED else ""
    for number, rule in enumerate(config.rule, 1):
        where = f"rule[{number}]"
        if not rule.name:
            yield f"{where}.name: is empty"
        if not rule.write:
            yield f"{where}.write: is empty; expected some of {', '.join(KINDS)}"
        for kind in rule.write:
            if kind not in KINDS:
                yield f"{where}.write: expected some of {', '.join(KINDS)}, got {shown(kind)}"
        for name in rule.destinations:
            if name not in names:
                yield f"{where}.destinations: expected names of [[destination]]s ({known}), got {shown(name)}"


def _retry(config):
    retry = config.retry
    yield from _between("retry.first_seconds", retry.first_seconds, 0.01, 86400)
    yield from _between("retry.longest_seconds", retry.longest_seconds, 0.01, 7 * 86400)
    yield from _between("retry.attempts", retry.attempts, 1, 10**6)


def _between(where, value, low, high):
    if not low <= value <= high:
        yield f"{where}: expected {low} to {high}, got {value:g}"


def _title(where, title):
    plain = title.isascii() and title.isprintable() and "\\" not in title
    if not (title.strip() and len(title) <= _LONGEST_TITLE and plain and title == title.strip()):
        yield f"{where}: expected an AE title of 1 to {_LONGEST_TITLE} letters, got {shown(title)}"


def _address(where, host):
    if not host or not host.isprintable() or "/" in host or " " in host:
        yield f"{where}: expected an address or a host's name, got {shown(host)}"


def _twice(table, key, values):
    for value in sorted(value for value, count in Counter(values).items() if count > 1):
        yield f"{table}: two have the {key} {shown(value)}; rename one"
