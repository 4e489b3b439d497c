"""Sales as people have them, in any common file, turned into the history that everything else reads."""
