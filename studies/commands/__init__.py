"""What the commands share: options, terminal, catalogue."""
