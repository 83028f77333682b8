"""The external test: a finished network or artifact on labelled scans from elsewhere."""
