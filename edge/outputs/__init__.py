"""What can be written of a segmentation beside its labels: maps, tables, pictures and the report of a run."""
