"""The sub-commands of ``zoo train`` and its kin, one file each."""
