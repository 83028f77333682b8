"""Sending results: by C-STORE to an archive, or by STOW-RS to a DICOMweb service."""

import secrets
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.node.config import Destination
from edge.node.deliveries import Delivery
from medseg.errors import InputError
from medseg.untrusted import read_token

SECONDS = 60
# PS3.4 table B.2-1: stored with coercion, elements discarded, data set does not match; all are stored.
_STORED = (0x0000, 0xB000, 0xB006, 0xB007)
_OUT_OF_RESOURCES = 0xA700
_AGAIN = (408, 425, 429)


class RefusedError(InputError):
    """The destination will not take an object, now or later."""


class UnreachableError(InputError):
    """The destination could not take an object now."""


def send(destination: Destination, title: str, folder: Path, deliveries: Sequence[Delivery]) -> Iterator:
    """Send files to a destination.

    Args:
        destination: where to.
        title: AE title of the node.
        folder: of the node.
        deliveries: what.

    Yields:
        Each delivery with None, or with the ``RefusedError`` or ``UnreachableError`` that it met.

    Raises:
        UnreachableError: if the destination cannot be reached at all; what was not yielded was not sent.
    """
    if destination.kind == "stow":
        yield from _stow(destination, folder, deliveries)
    else:
        yield from _c_store(destination, title, folder, deliveries)


def client_context(authorities: Path) -> ssl.SSLContext:
    """TLS towards a server whose certificate one of some authorities has signed.

    Raises:
        OSError: if the file cannot be read as such.
    """
    return ssl.create_default_context(cafile=str(authorities))


def _c_store(destination, title, folder, deliveries):
    from pydicom import dcmread
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
    from pynetdicom import AE, _config

    _config.STORE_SEND_CHUNKED_DATASET = True  # a file goes out as it lies on the disk
    entity = AE(title)
    entity.acse_timeout = entity.connection_timeout = entity.dimse_timeout = entity.network_timeout = SECONDS
    for sop_class in dict.fromkeys(each.sop_class for each in deliveries):
        entity.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    tls = (client_context(destination.authorities), destination.host) if destination.authorities else None
    association = entity.associate(destination.host, destination.port, ae_title=destination.title, tls_args=tls)
    if not association.is_established:
        rejected = "rejects associations; are both AE titles right?" if association.is_rejected else "cannot be reached"
        raise UnreachableError(f"{destination.name}: {rejected}")
    try:
        accepted = {context.abstract_syntax: context.transfer_syntax[0] for context in association.accepted_contexts}
        for each in deliveries:
            if each.sop_class not in accepted:
                yield each, RefusedError(f"{destination.name}: takes no objects of SOP class {each.sop_class}")
                continue
            as_written = accepted[each.sop_class] == ExplicitVRLittleEndian  # in which this node writes its results
            path = folder / each.file
            status = association.send_c_store(path if as_written else dcmread(path))
            if "Status" not in status:
                raise UnreachableError(f"{destination.name}: the association broke off")
            yield each, _problem(destination, int(status.Status))
    finally:
        if association.is_established:
            association.release()


def _problem(destination, status):
    if status in _STORED:
        return None
    text = f"{destination.name}: answers with status 0x{status:04X}"
    return (UnreachableError if status & 0xFF00 == _OUT_OF_RESOURCES else RefusedError)(text)


def _stow(destination, folder, deliveries):
    import requests

    headers = {"Accept": "application/dicom+json"}
    if destination.token_file:
        headers["Authorization"] = f"Bearer {read_token(destination.token_file)}"
    verify = str(destination.authorities) if destination.authorities else True
    for each in deliveries:
        boundary = secrets.token_hex(16)
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        part = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = part + (folder / each.file).read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        try:
            answer = requests.post(
                destination.url.rstrip("/") + "/studies",
                data=body,
                headers=headers | {"Content-Type": kind},
                timeout=SECONDS,
                verify=verify,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise UnreachableError(f"{destination.name}: cannot be reached ({type(error).__name__})") from None
        text = f"{destination.name}: answers with HTTP status {answer.status_code}"
        if answer.status_code in (200, 202):
            yield each, RefusedError(f"{text}, but has not stored it") if _failed(answer) else None
        elif answer.status_code >= 500 or answer.status_code in _AGAIN:
            raise UnreachableError(text)
        else:
            yield each, RefusedError(text)


def _failed(answer) -> bool:
    """Whether an answer that is no error lists an instance that was not stored (Failed SOP Sequence, PS3.18 10.5)."""
    try:
        data = answer.json()
    except ValueError:
        return False
    return isinstance(data, dict) and bool((data.get("00081198") or {}).get("Value"))
