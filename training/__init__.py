"""Making policies better."""
