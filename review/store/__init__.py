"""What a review keeps: cases, versions of labels, drafts, artifacts, and the audit trail, in one SQLite file."""
