"""The long experiments, and what makes the records and files that are kept of them."""
