"""HTTP beside the DICOM service: scans in, jobs and their files out, health and measures."""
