"""The table of abuses: all rows, and the lists of what needs none."""

from tests import (
    abuse_rows_core,
    abuse_rows_fast,
    abuse_rows_laboratory,
    abuse_rows_layers,
    abuse_rows_models,
    abuse_rows_names,
    abuse_rows_parallel,
)

PARTS = (
    abuse_rows_core,
    abuse_rows_layers,
    abuse_rows_models,
    abuse_rows_names,
    abuse_rows_laboratory,
    abuse_rows_fast,
    abuse_rows_parallel,
)
CALLS = {name: call for part in PARTS for name, call in part.CALLS.items()}
NOT_YET = {name for part in PARTS for name in part.NOT_YET}
NO_ARGUMENT = {name for part in PARTS for name in part.NO_ARGUMENT}
INSIDE = {name for part in PARTS for name in part.INSIDE}
