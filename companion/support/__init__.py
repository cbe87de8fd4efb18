"""What the core stands on: how input is checked, how files are fetched."""
