"""What only the laboratories use: counts, fast layers, prefix trees, processes."""
