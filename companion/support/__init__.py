"""What the core stands on: no word of networks, but how input and files are checked."""
