"""The network's next version: what people corrected joins the training set, and the new one must prove itself."""
