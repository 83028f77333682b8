"""The DICOM service: C-ECHO, C-STORE and requests for storage commitment, from the callers that are allowed."""

import ipaddress
import logging
import sqlite3
import ssl
import sys
import threading
from typing import Any

from edge.node import commitments, instances
from edge.node.config import Config
from edge.node.database import Database
from edge.node.instances import keep, parse
from edge.node.storage import has_room, hashed
from medseg.errors import InputError

log = logging.getLogger("medseg.node")
SECONDS = 60
# PS3.4 table B.2-1 and PS3.7 annex C.
SUCCESS, NO_RESOURCES, NOT_MATCHING, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
PROCESSING_FAILURE = 0x0110
_REJECTED, _BY_USER, _CALLER_UNKNOWN = 1, 1, 3  # A-ASSOCIATE-RJ, PS3.8 table 9-21
IMAGES = (
    "CTImageStorage", "EnhancedCTImageStorage", "LegacyConvertedEnhancedCTImageStorage", "MRImageStorage",
    "EnhancedMRImageStorage", "EnhancedMRColorImageStorage", "LegacyConvertedEnhancedMRImageStorage",
    "UltrasoundImageStorage", "UltrasoundMultiFrameImageStorage", "EnhancedUSVolumeStorage",
    "ComputedRadiographyImageStorage", "DigitalXRayImageStorageForPresentation",
    "DigitalXRayImageStorageForProcessing", "DigitalMammographyXRayImageStorageForPresentation",
    "DigitalMammographyXRayImageStorageForProcessing", "XRayAngiographicImageStorage",
    "XRayRadiofluoroscopicImageStorage", "EnhancedXAImageStorage", "EnhancedXRFImageStorage",
    "XRay3DAngiographicImageStorage", "BreastTomosynthesisImageStorage", "PositronEmissionTomographyImageStorage",
    "EnhancedPETImageStorage", "NuclearMedicineImageStorage", "SecondaryCaptureImageStorage",
    "MultiFrameGrayscaleByteSecondaryCaptureImageStorage", "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
    "MultiFrameTrueColorSecondaryCaptureImageStorage", "VLEndoscopicImageStorage", "VLPhotographicImageStorage",
    "OphthalmicPhotography8BitImageStorage", "OphthalmicTomographyImageStorage",
)  # fmt: skip
# Those that imaging.io.dicom decodes; what a sender offers first is taken, so nothing is transcoded.
SYNTAXES = (
    "ExplicitVRLittleEndian", "ImplicitVRLittleEndian", "ExplicitVRBigEndian", "DeflatedExplicitVRLittleEndian",
    "RLELossless", "JPEGBaseline8Bit", "JPEGLossless", "JPEGLosslessSV1", "JPEGLSLossless", "JPEGLSNearLossless",
    "JPEG2000Lossless", "JPEG2000",
)  # fmt: skip


class Receiver:
    """The listening application entity.

    Args:
        config: of the node.
        database: of the node.
    """

    def __init__(self, config: Config, database: Database):
        self.config, self.database = config, database
        self._lock, self._touched, self._at = threading.Lock(), {}, {}
        self._server: Any = None

    def start(self) -> None:
        """Listen.

        Raises:
            InputError: if the port is in use, or the files of TLS cannot be used.
        """
        from pynetdicom import AE, evt

        dicom = self.config.dicom
        entity = AE(dicom.title)
        entity.require_called_aet = True
        entity.maximum_associations = dicom.associations
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = SECONDS
        _support(entity)
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested), (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._commit),
            (evt.EVT_PDU_RECV, self._about_to_release), (evt.EVT_RELEASED, self._released),
            (evt.EVT_ABORTED, self._aborted), (evt.EVT_CONN_CLOSE, self._aborted),
        ]  # fmt: skip
        try:
            context = server_context(dicom)
            self._server = entity.start_server((dicom.host, dicom.port), False, context, handlers)
            self._server.handle_error = _connection_failed
        except OSError as error:
            raise InputError(
                f"dicom.port: cannot listen on {dicom.host} port {dicom.port} ({error.strerror}); is it in use?"
            ) from None

    def stop(self) -> None:
        """Listen no more, and end the associations."""
        if self._server is not None:
            self._server.ae.shutdown()

    def _requested(self, event):
        """Reject an association of a caller that is not on the list."""
        association = event.assoc
        title, address = association.requestor.primitive.calling_ae_title.strip(), association.requestor.address
        if not self._allowed(title, address):
            log.warning("association of a caller that is not allowed is rejected (%s)", address)
            self.database.add("associations_rejected")
            association.acse.send_reject(_REJECTED, _BY_USER, _CALLER_UNKNOWN)
            association.kill()

    def _allowed(self, title, address):
        if self.config.dicom.any_caller:
            return True
        place = ipaddress.ip_address(address)
        place = getattr(place, "ipv4_mapped", None) or place
        return any(
            caller.title == title
            and (not caller.addresses or any(place in ipaddress.ip_network(a, strict=False) for a in caller.addresses))
            for caller in self.config.caller
        )

    def _store(self, event) -> int:
        """Take an instance: success is only said once it is durable."""
        folder, request = self.config.node.folder, event.request
        try:
            content = event.encoded_dataset()
            if not has_room(folder, len(content), self.config.node.free_mb):
                return self._refuse(NO_RESOURCES, "the disk is full")
            instance = parse(content, self.config.dicom.count)
            if (instance.uid, instance.sop_class) != (request.AffectedSOPInstanceUID, request.AffectedSOPClassUID):
                return self._refuse(NOT_MATCHING, "its identifiers are not those of the request")
            with self._lock:
                self._touched.setdefault(event.assoc, set()).add(instance.series)
                self._at[event.assoc] = instance.series
            keep(self.database, folder, instance)
        except InputError as error:
            return self._refuse(NOT_UNDERSTOOD, str(error))
        except (OSError, sqlite3.Error, MemoryError) as error:
            return self._refuse(NO_RESOURCES, f"it cannot be kept ({type(error).__name__})")
        log.debug("instance %s of series %s received", hashed(instance.uid), hashed(instance.series))
        return SUCCESS

    def _refuse(self, status, reason):
        log.warning("an instance is refused with status 0x%04X: %s", status, reason)
        try:
            self.database.add("instances_refused")
        except sqlite3.Error:
            log.error("the database cannot be written")
        return status

    def _commit(self, event):
        try:
            kept = commitments.keep_request(self.database, event.assoc.requestor.ae_title, event.action_information)
        except (OSError, sqlite3.Error, InputError) as error:
            log.warning("a request for storage commitment is refused: %s", type(error).__name__)
            return PROCESSING_FAILURE, None
        return (SUCCESS if kept else PROCESSING_FAILURE), None

    def _about_to_release(self, event):
        """Keep that an association ends as it should before its sender is told so, who then sends nothing again."""
        from pynetdicom.pdu import A_RELEASE_RQ

        if isinstance(event.pdu, A_RELEASE_RQ):
            self._released(event)

    def _released(self, event):
        self._end(event.assoc, instances.released)

    def _aborted(self, event):
        self._end(event.assoc, instances.interrupted)

    def coming(self) -> set[str]:
        """The series that open associations are at."""
        with self._lock:
            return set(self._at.values())

    def reap(self) -> None:
        """End associations whose connection is gone, or broke off by a malformed message: nothing else ends these.

        Before it has seen a request, the thread of an association waits for one for the whole time-out, on a connection
        that may be closed already; so many port scans would take all places.
        """
        for association in self._server.ae.active_associations:
            if association.is_acceptor and association.dul.ident is not None and not association.dul.is_alive():
                association.dul.to_user_queue.put(None)
        with self._lock:
            ended = [each for each in self._touched if not (each.is_alive() and each.dul.is_alive())]
        for association in ended:
            self._end(association, instances.interrupted)

    def _end(self, association, record):
        with self._lock:
            series = self._touched.pop(association, None)
            self._at.pop(association, None)
        if series:
            try:
                record(self.database, series)
            except sqlite3.Error:
                log.error("the database cannot be written")


def _connection_failed(*_):
    log.warning("a connection ended by %s", sys.exc_info()[0].__name__)


def server_context(dicom) -> ssl.SSLContext | None:
    """TLS of the service; None where it speaks without.

    Args:
        dicom: the table ``[dicom]``.

    Raises:
        OSError: if a file cannot be read as such.
    """
    if dicom.certificate is None:
        return None
    context = _LateHandshake(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(dicom.certificate, dicom.key)
    if dicom.authorities is not None:
        context.load_verify_locations(dicom.authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class _LateHandshake(ssl.SSLContext):
    """Shakes hands when first read from, in the association's own thread, so that a silent caller holds up nobody."""

    def wrap_socket(self, *args, **options):
        return super().wrap_socket(*args, **{**options, "do_handshake_on_connect": False})


def _support(entity):
    from pydicom import uid
    from pynetdicom import sop_class

    syntaxes = [getattr(uid, name) for name in SYNTAXES]
    for name in IMAGES:
        entity.add_supported_context(getattr(sop_class, name), syntaxes)
    for name in ("Verification", "StorageCommitmentPushModel"):
        entity.add_supported_context(getattr(sop_class, name), syntaxes[:2])
