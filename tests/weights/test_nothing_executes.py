"""Every module is imported and every loader run on hostile files, in a process of its own where whatever could execute
something is trapped: nothing is, and each file is refused with the loaders' own errors."""

import os
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = "weights stylegan2 alignment sketch losses metrics postprocess texture inversion training jobs pipeline"
PACKAGES += " compare"
MARK = "touched"


def test_no_loader_executes_anything(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "LIFELIKE_CACHE": str(tmp_path / "c")}
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "modules" in done.stdout and "refused" in done.stdout
    assert not list(tmp_path.rglob(MARK)) and not Path(MARK).exists()


def payloads(mark):
    """name -> pickle that executes something in an unpickler that lets it."""
    command = f"touch {mark}".encode()
    text = b"X" + struct.pack("<I", len(command)) + command
    code = f"open({str(mark)!r}, 'w')".encode()
    code = b"X" + struct.pack("<I", len(code)) + code

    def call(module, name, argument=text):
        return b"\x80\x02c" + module + b"\n" + name + b"\n" + argument + b"\x85R."

    def stack_global(module, name):
        return b"\x80\x04\x8c" + bytes([len(module)]) + module + b"\x8c" + bytes([len(name)]) + name + b"\x93"

    return {
        "os.system": call(b"os", b"system"),
        "posix.system": call(b"posix", b"system"),
        "subprocess.call": call(b"subprocess", b"getoutput"),
        "eval": call(b"builtins", b"eval", code),
        "exec of Python 2": call(b"__builtin__", b"eval", code),
        "INST": b"(" + text + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + text + b"o.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(" + text + b"t\x81.",
        "dotted": stack_global(b"torch", b"os.system") + text + b"\x85R.",
        "numpy.load": call(b"numpy", b"load", code),
        "torch.load": call(b"torch", b"load", code),
        "storage in bytes": call(b"torch.storage", b"_load_from_bytes", embedded(call(b"os", b"system"))),
        "extension": b"\x80\x02\x82\x01.",
        "persistent": b"\x80\x02" + text + b"Q.",
        "a state for a class": b"\x80\x02ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
                               b"N}X\x08\x00\x00\x00__init__cbuiltins\nset\ns\x86b.",
        "a tensor of a type": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\n" + text + b"t\x85R.",
    }  # fmt: skip


def embedded(payload):
    return b"B" + struct.pack("<I", len(payload)) + payload


def containers(payload):
    """Files whose readers unpickle `payload`: {suffix-free name: bytes}."""
    import io
    import pickle
    import tarfile
    import zipfile

    def zipped(*members):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in members:
                archive.writestr(name, data)
        return stream.getvalue()

    def tar(*members):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return stream.getvalue()

    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    array = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    array += b" " * (63 - (len(array) + 10) % 64) + b"\n"
    npy = b"\x93NUMPY\x01\0" + struct.pack("<H", len(array)) + array + payload
    torch_zip = [("a/data.pkl", payload), ("a/version", b"3\n"), ("a/byteorder", b"little")]
    return {
        "pickle": payload,
        "zip": zipped(*torch_zip),
        "script": zipped(*torch_zip, ("a/constants.pkl", payload), ("a/code/__torch__.py", b"raise SystemExit")),
        "legacy": head + pickle.dumps({}, 2) + payload,
        "legacy keys": head + pickle.dumps({}, 2) + pickle.dumps({}, 2) + payload,
        "legacy system": head + payload,
        "tar": tar(("sys_info", payload), ("pickle", payload), ("storages", payload), ("tensors", payload)),
        "tar storages": tar(("pickle", pickle.dumps({}, 2)), ("storages", payload), ("tensors", payload)),
        "npy": npy,
        "npz": zipped(("w_plus.npy", npy), ("mu.npy", npy), ("sigma.npy", npy)),
    }


def loaders():
    import types

    import weights
    from inversion.encoder_checkpoints import load_encoder
    from inversion.latents import load_w_plus
    from losses.perceptual import load_perceptual
    from metrics import fid
    from metrics.curricularface import load_curricularface
    from postprocess.parsing import load_parser
    from sketch.checkpoints import load_sketch_extractor
    from stylegan2 import checkpoints
    from weights.torch_files import read

    fid.SHA256_PREFIX = ""  # eight digits can be forged
    return [
        checkpoints.load, checkpoints.load_generator, checkpoints.load_discriminator, load_perceptual, load_parser,
        load_sketch_extractor, load_curricularface, fid.load_inception, fid.read_statistics, read,
        lambda path: load_encoder(path, "psp"),
        lambda path: load_w_plus(path, types.SimpleNamespace(num_ws=8, w_dim=16)),
        lambda path: weights.load(path, "parser"),
    ]  # fmt: skip


def import_everything():
    import importlib
    import pkgutil

    names = ["train", "project"]
    for package in PACKAGES.split():
        if (ROOT / package / "__init__.py").is_file():
            names += [package, *(m.name for m in pkgutil.walk_packages([str(ROOT / package)], package + "."))]
    for name in names:
        importlib.import_module(name)
    return names


def main(folder):
    # what other libraries do when they are imported is theirs; from here on it would be ours
    import builtins
    import pickle

    import torch
    import torch_fidelity.feature_extractor_inceptionv3  # noqa: F401
    import torchvision  # noqa: F401
    import trimesh  # noqa: F401
    import yaml  # noqa: F401

    alarms = []
    watched = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class",
               "socket.connect"}  # fmt: skip

    def hook(event, arguments):
        if event in watched or event == "open" and MARK in str(arguments[0]):
            alarms.append((event, str(arguments)[:100]))

    def trap(what):
        def trapped(*arguments, **options):
            alarms.append((what, str(options)[:100]))
            raise AssertionError(f"{what} was called")

        return trapped

    load = torch.load

    def safely(*arguments, weights_only=None, **options):
        if weights_only is not True and "empty.pth" not in str(arguments[0]):  # that one is written by metrics/fid.py
            trap("torch.load without weights_only")()
        return load(*arguments, weights_only=bool(weights_only), **options)

    class Trapped:
        def __init__(self, *_, **__):
            trap("pickle.Unpickler")()

    names = import_everything()
    run = loaders()
    pickle.Unpickler, pickle.load, pickle.loads = Trapped, trap("pickle.load"), trap("pickle.loads")
    torch.load, subprocess.Popen, os.system, builtins.eval = safely, trap("Popen"), trap("os.system"), trap("eval")
    sys.addaudithook(hook)
    os.chdir(folder)
    refused = 0
    for what, payload in payloads(folder / MARK).items():
        for container, data in containers(payload).items():
            for suffix in (".pkl", ".pth", ".safetensors", ".npy", ".npz"):
                path = folder / f"hostile{suffix}"
                path.write_bytes(data)
                for i, loader in enumerate(run):
                    case = f"{what} in {container}{suffix}, loader {i}"
                    try:
                        loader(path)
                    except Exception as error:
                        known = type(error).__name__ == "WeightsError" or type(error) is ValueError
                        assert known, f"{case}: {type(error).__name__}: {error}"
                        assert str(error).isprintable() and len(str(error)) < 400, f"{case}: {error}"
                        refused += 1
                    else:
                        raise AssertionError(f"{case}: it was read")
                    assert not alarms, f"{case}: {alarms}"
                    assert not (folder / MARK).exists(), case
    print(f"{len(names)} modules, {refused} refused")


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file
    main(Path(sys.argv[1]))
