"""Features of a sales panel, built in one place for trees, networks and the patchwork."""
