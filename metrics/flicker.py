"""How much a result flickers from frame to frame, beyond what the input does anyway.

Frames are compared as crops of one face, cut along its (smoothed) square, so that the motion of head and camera in the
picture is taken out; what is left in the input is turning, expression, light and the renderer's own noise.
"""

import numpy as np


def flicker(inputs, results, masks):
    """Changes from each frame to the next over the face.

    inputs, results: uint8 [T, S, S, 3], crops of T >= 2 frames in order. masks: bool [T, S, S], the face in each; what
    two neighbours share counts. Returns {"input", "result": [T - 1] mean absolute differences in 8-bit levels,
    "excess": their mean difference, result less input}. Neighbours that share no face are left out; raises ValueError
    when that is all of them.
    """
    changes = {"input": [], "result": []}
    for t in range(len(masks) - 1):
        where = masks[t] & masks[t + 1]  # [S, S]
        if where.any():
            for name, crops in (("input", inputs), ("result", results)):
                difference = np.abs(crops[t + 1][where].astype(np.int16) - crops[t][where])  # [P, 3]
                changes[name].append(float(difference.mean()))
    if not changes["input"]:
        raise ValueError("no two neighbouring frames show the face")
    return changes | {"excess": float(np.mean(changes["result"]) - np.mean(changes["input"]))}
