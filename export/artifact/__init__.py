"""The artifact folder: model, manifest, card, report and pictures."""
