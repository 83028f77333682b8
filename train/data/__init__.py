"""A folder of labelled scans: layouts, names, checks, downloads and phantoms."""
