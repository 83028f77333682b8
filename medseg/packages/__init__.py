"""How our packages are imported: ours and no file of the user's of the same name, and their names when first used."""
