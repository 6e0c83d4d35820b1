"""Put tensors of a file into a network. Its sizes come from the tensors that the file holds, not from what it claims:
networks are built without memory, and end where they describe more layers than there are tensors."""

import os
import threading
from contextlib import contextmanager

import torch
from torch.nn.modules import module as modules

from . import check_finite
from .files import REMEDY, WeightsError, first_line

# what wrong arguments of a network can end in
FAILURES = (
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    AttributeError,
    IndexError,
    ZeroDivisionError,
    AssertionError,
    OverflowError,
    RecursionError,
    MemoryError,
)


def filled(path, build, tensors, what, absent=None):
    """build() with `tensors` {name: tensor} as its weights, float32 on the CPU, in eval mode, without gradients.

    what: the network's name in errors. absent: function of the names that are wanted ({name: tensor without memory})
    and not in `tensors`, which gives {name: tensor} for those the file may leave out. Raises WeightsError, naming
    `path`, what was found, what is expected and the first name that differs, in one short line.
    """
    network = skeleton(path, build, len(tensors), what)
    wanted = network.state_dict()
    tensors = {name: tensor for name, tensor in tensors.items() if torch.is_tensor(tensor)}
    for name in wanted:  # a counter that files of old torch versions lack
        if name.endswith(".num_batches_tracked") and name not in tensors:
            tensors[name] = torch.tensor(0)
    if absent is not None:
        tensors |= absent(_bounded({name: tensor for name, tensor in wanted.items() if name not in tensors}))
    if problem := difference(wanted, tensors):
        raise WeightsError(f"{path}: does not hold {what}: {problem}; {REMEDY}")
    used, shared = {}, set()
    held = 4 * os.path.getsize(path) + 2**26  # half precision doubles; the same data may stand in several networks
    for name, tensor in tensors.items():
        held -= tensor.numel() * wanted[name].element_size()
        if held < 0:
            raise WeightsError(
                f"{path}: does not hold {what}: it repeats its data to more than the file holds; {REMEDY}"
            )
        own = tensor.to(wanted[name].dtype)
        memory = own.untyped_storage()
        alone = memory.data_ptr() not in shared and memory.nbytes() == own.numel() * own.element_size()
        shared.add(memory.data_ptr())
        used[name] = own if alone and own.is_contiguous() else own.clone(memory_format=torch.contiguous_format)
    check_finite(path, used)
    network.load_state_dict(used, assign=True)
    return network.eval().requires_grad_(False)


def _bounded(names):
    """Those of {name: tensor without memory}, in order, that have room in 2**25 numbers together."""
    room, kept = 2**25, {}
    for name, tensor in names.items():
        if tensor.numel() <= room:
            room -= tensor.numel()
            kept[name] = tensor
    return kept


def skeleton(path, build, count, what):
    """build() on the meta device; WeightsError if it fails or wants many more tensors than `count`, those in the
    file."""
    try:
        with _at_most(4 * count + 64), torch.device("meta"):
            return build()
    except FAILURES as error:
        raise WeightsError(f"{path}: {what} does not fit its own description ({first_line(error, 100)})") from error


@contextmanager
def _at_most(limit):
    """ValueError as soon as the networks made inside, by this thread, have more than `limit` tensors."""
    thread, count = threading.get_ident(), 0

    def counted(*_):
        nonlocal count
        count += threading.get_ident() == thread
        if count > limit:
            raise ValueError("it describes more layers than the file holds")

    hooks = [
        modules.register_module_parameter_registration_hook(counted),
        modules.register_module_buffer_registration_hook(counted),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def difference(wanted, found):
    """What is wrong with a state dict, in at most about 200 characters; None if names and shapes are those `wanted`."""
    for name in [*wanted, *sorted(found.keys() - wanted.keys(), key=str)]:
        if name in wanted and name in found and wanted[name].shape == found[name].shape:
            continue
        have = f"is {_shape(found[name])}" if name in found else "is missing"
        want = f"expected {_shape(wanted[name])}" if name in wanted else "is not expected"
        if name not in found:
            first = next((n for n in found if n not in wanted), None)
            want += f", found {_short(first)} {_shape(found[first])} instead" if first is not None else ""
        counts = f"found {len(found)} tensors, expected {len(wanted)}"
        return f"{counts}; the first that differs, {_short(name)}, {have}, {want}"
    return None


def _shape(tensor):
    return str(list(tensor.shape[:6]))


def _short(name):
    return name if len(name) <= 40 else f"{name[:18]}...{name[-18:]}"


def state_of(content, anchor, path, what):
    """{name: tensor} of the network in `content`, as people save it: as it is, or one or two dictionaries deeper
    ({"state_dict": ...}), with any prefix before all names ("module.", "_orig_mod.").

    anchor: the name of a tensor that every such network has, by which it is found. Tensors that do not stand under the
    same prefix are left out. Raises WeightsError, naming `path` and `what` was looked for.
    """
    layer = [content] if isinstance(content, dict) else []
    for _ in range(3):
        for state in layer[:100]:
            names = [n for n, t in state.items() if isinstance(n, str) and torch.is_tensor(t)]
            found = [name for name in names if name == anchor or name.endswith("." + anchor)]
            if found:
                prefix = min(found, key=len).removesuffix(anchor)
                return {name.removeprefix(prefix): state[name] for name in names if name.startswith(prefix)}
        layer = [value for state in layer[:100] for value in state.values() if isinstance(value, dict)]
    found = f"a {type(content).__name__}"
    if isinstance(content, dict):
        names = [str(name)[:30] for name in list(content)[:3] if isinstance(name, str | int)]
        found = f"{len(content)} entries ({', '.join(names)}{', ...' if len(content) > 3 else ''})"
    raise WeightsError(f"{path}: does not hold {what}: found {found}, expected a tensor {anchor}; {REMEDY}")
