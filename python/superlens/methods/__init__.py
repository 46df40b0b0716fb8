"""Methods: one file each, with the same two verbs, train and apply, and no knowledge of each other."""
