"""The portraits of the paired benchmark through one method, as a results folder."""

import hashlib
import time

import weights
from alignment import write_png
from alignment.tensors import to_pixels, to_tensor
from compare.made import Made
from compare.systems import System


def make(method, folder, portraits, batch, device, bar=None):
    """Write the results folder of a method; what is there already is not made again. Returns its System.

    Results of other settings or weights, or of another input, are made anew. A stopped call goes on after the last
    finished batch. bar: a tqdm bar that counts steps of one portrait.
    """
    used = {role: weights.sha256(path) for role, path in method.files.items()}
    made = Made(folder, System(method.name, method.source, used), {"source": method.source, "checkpoint": used})
    inputs = [hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in portraits.inputs]
    entries = made.still_good(dict(zip(portraits.names, inputs, strict=True)))
    missing = [i for i, name in enumerate(portraits.names) if name not in entries]
    if bar is not None:
        bar.set_description(method.name)
        bar.update(method.steps * (len(inputs) - len(missing)))

    def count(step, distances):  # of as many portraits as took the step together
        if bar is not None:
            bar.update(len(distances))

    for start in range(0, len(missing), batch):
        part = missing[start : start + batch]
        started = time.perf_counter()
        images = to_pixels(method.draw(to_tensor(portraits.inputs[part], device), count))
        seconds = (time.perf_counter() - started) / len(part)
        for i, pixels in zip(part, images, strict=True):
            name = portraits.names[i]
            write_png(made.files(name)[0], pixels)
            entries[name] = {"output": name, "fingerprint": inputs[i], "seconds": seconds}
        made.record(entries)
    return made.record(entries)
