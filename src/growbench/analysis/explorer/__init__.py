"""A page on which a reader asks his own question of a study or a ladder: which methods, counted how, against what, at which loss."""
