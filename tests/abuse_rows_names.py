"""The table of abuses: rows of names and their classifier."""

#: Modules that are still to come, and why.
NOT_YET = {
    "classifier": "being rewritten",
    "joint": "new",
    "names": "being rewritten",
    "normalise": "new",
    "padding": "new",
    "stored": "new",
    "classify": "a command",
}
#: Public names that take nothing, or nothing that could be wrong.
NO_ARGUMENT = set()
#: What is no entrance for a user.
INSIDE = {}
CALLS = {}
