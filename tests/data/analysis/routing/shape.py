# SPDX-License-Identifier: GPL-3.0-or-later
"""Of the model that the made-up run ran."""

LAYERS, EXPERTS, TOP_K = 4, 12, 3
NAN = float("nan")
