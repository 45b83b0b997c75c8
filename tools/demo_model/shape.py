# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo model's architecture, in one place for the trainer and the exporter."""

LAYERS = 8
HIDDEN = 192
QUERY_HEADS = 4
KEY_VALUE_HEADS = 2
HEAD_WIDTH = 64
EXPERTS = 32
EXPERTS_PER_TOKEN = 4
EXPERT_WIDTH = 96
VOCABULARY = 4096
CONTEXT = 256
ROPE_THETA = 10_000.0
NORM_EPSILON = 1e-6

END_OF_TEXT = "<|endoftext|>"
END_OF_TEXT_ID = VOCABULARY - 1
