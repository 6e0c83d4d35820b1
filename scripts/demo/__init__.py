"""How the embedded weights are made: packing the pictures, training the generators in given minutes, and the three
small networks (perceptual, sketch, parser). docs/demo-weights.md is the log of what was tried."""

HELD_OUT = "003440"  # identities from this number on are for choosing and measuring: no generator is trained on them
