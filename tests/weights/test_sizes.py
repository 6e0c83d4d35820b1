"""Small files that would take gigabytes or for ever: refused at once, with little memory. All run in one process whose
peak is looked at."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
G = {
    "z_dim": 16,
    "c_dim": 0,
    "w_dim": 16,
    "img_resolution": 32,
    "img_channels": 3,
    "mapping_kwargs": {"num_layers": 2},
    "synthesis_kwargs": {"channel_base": 256, "channel_max": 16},
}
LONGEST, LARGEST = 5, 400  # seconds of one, MiB of all


def test_small_files_take_little(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "all refused" in done.stdout


def native(kind, config):
    header = {
        "__metadata__": {"format": "lifelike", "kind": kind, "config": json.dumps(config), "card": "{}"},
        "x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(4)


def torch_file(content, **options):
    import torch

    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def rosinality(convs, width, layers=1, full=False):
    """A generator of 8 latents whose tensors are one number, repeated by zero strides; full: as many as there are."""
    import torch

    def one(*shape):
        return torch.zeros(shape) if full else torch.zeros(1).expand(*shape)

    state = {"input.input": one(1, width, 4, 4), "style.1.weight": one(8, 8), "style.1.bias": one(8)}
    state |= {f"style.{layers}.weight": one(8, 8), f"style.{layers}.bias": one(8)}
    kinds = ["conv1", "to_rgb1", *(f"convs.{i}" for i in range(convs)), *(f"to_rgbs.{i}" for i in range(convs // 2))]
    for kind in kinds:
        rgb = kind.startswith("to_rgb")
        state[f"{kind}.conv.weight"] = one(1, 3 if rgb else width, width, 1 if rgb else 3, 1 if rgb else 3)
        state |= {f"{kind}.conv.modulation.weight": one(width, 8), f"{kind}.conv.modulation.bias": one(width)}
        state |= {f"{kind}.bias": one(1, 3, 1, 1)} if rgb else {}
        state |= {} if rgb else {f"{kind}.noise.weight": one(1), f"{kind}.activate.bias": one(width)}
    return torch_file({"g_ema": state, "latent_avg": torch.zeros(8)})


def with_pickle(data):
    """A torch file of that pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/data.pkl", data)
    return stream.getvalue()


def cases():
    import torch

    pairs = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))  # t = (t, t), sixty times
    hashed = b"\x80\x02}(" + b")" + pairs + b"K\x01u."
    in_a_set = b"\x80\x02cbuiltins\nset\n(]" + b")" + pairs + b"at\x85R."
    module = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n}X\x05\x00\x00\x00state"
    # a module whose two children are one module, sixty deep
    doubled = b"}" + b"".join(
        b"q" + bytes([i]) + b"0}X\x08\x00\x00\x00_modules}(X\x01\x00\x00\x00ah" + bytes([i])
        + b"X\x01\x00\x00\x00bh" + bytes([i]) + b"us" for i in range(60))  # fmt: skip
    kwargs = pickle.dumps(G, 2)[2:-1]
    doubled = module + doubled + b"X\x0c\x00\x00\x00_init_kwargs" + kwargs + b"ss\x85R"
    doubled = b"\x80\x02}X\x05\x00\x00\x00G_ema" + doubled + b"s."
    # a text of 100 kB that is turned into bytes again and again
    text = b"c_codecs\nencode\nX\x00\x00\x01\x00" + b"x" * 2**16 + b"q\x00X\x06\x00\x00\x00latin1q\x01\x86q\x02R"
    repeated = b"\x80\x02](" + text + b"c_codecs\nencode\nq\x030" + b"h\x03h\x02R" * 100_000 + b"e."
    # a path of itself and itself, sixty times
    path = b"\x80\x02cpathlib\nPosixPath\nq\x00U\x0a0123456789" + b"q\x010h\x00h\x01h\x01\x86R" * 60 + b"."
    path = path.replace(b"q\x00U", b"q\x000U", 1)
    legacy = torch_file({"g_ema": {"input.input": torch.zeros(4)}}, _use_new_zipfile_serialization=False)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:  # 400 MB of zeros
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("a/data/0", bytes(2**28))
    halves = torch.zeros(2**17, dtype=torch.float16)
    shared = {f"features.{i}.weight": halves for i in range(4000)}
    return {
        "layers.safetensors": native("stylegan2", {"G_ema": G | {"mapping_kwargs": {"num_layers": 10**9}}}),
        "layers_small.safetensors": native("stylegan2", {"G_ema": G | {"mapping_kwargs": {"num_layers": 2**20}}}),
        "resolution.safetensors": native("stylegan2", {"G_ema": G | {"img_resolution": 2**1000}}),
        "taps.safetensors": native("stylegan2", {"G": G | {"synthesis_kwargs": {"resample_filter": [1] * 10**5}}}),
        "nested.safetensors": native("stylegan2", [[[[[[[]]]]]]]),
        "convs.perceptual": native("perceptual", {"channels": [8], "convs": [10**9]}),
        "many.perceptual": native("perceptual", {"channels": [8] * 90, "convs": [2**20] * 90}),
        "wide.parser": native("parser", {"n_classes": 19, "width": 2**20, "resolution": 64}),
        "blocks.sketch": native("sketch_extractor", {"ngf": 64, "n_downsampling": 4, "n_blocks": 10**9}),
        "levels.sketch": native("sketch_extractor", {"ngf": 64, "n_downsampling": 2**20, "n_blocks": 1}),
        "strides.pt": rosinality(6, 4500),
        "layers.pt": rosinality(2, 4, layers=10**8, full=True),
        "deep.pt": rosinality(34, 1, full=True),  # 524288 pixels wide, no noise maps in the file
        "index.pt": torch_file({"input.input": torch.zeros(1), "convs.999999999999.noise.weight": torch.zeros(1)}),
        "bytearray.pkl": b"\x80\x05\x96" + struct.pack("<Q", 3 * 2**30) + b".",
        "bytes.pkl": b"\x80\x04\x8e" + struct.pack("<Q", 3 * 2**30) + b".",
        "memo.pkl": b"\x80\x04Nr" + struct.pack("<I", 0x0C000000) + b".",
        "memo.sketch": b"\x80\x04Nr" + struct.pack("<I", 0x0C000000) + b".",
        "hash.pkl": hashed,
        "hash.pt": with_pickle(hashed),
        "set.pkl": in_a_set,
        "modules.pkl": doubled,
        "copies.pkl": repeated,
        "path.pkl": path,
        "storage.pt": legacy.replace(b"K\x04N", b"\x8a\x06" + struct.pack("<Q", 2**40)[:6] + b"N"),
        "deflated.pt": stream.getvalue(),
        "shared.perceptual": torch_file(shared),
        "far.sketch": pickle.dumps({"model.1.weight": 0}),
    }  # fmt: skip


def main(folder):
    import resource

    from losses.perceptual import load_perceptual
    from postprocess.parsing import load_parser
    from sketch.checkpoints import load_sketch_extractor
    from stylegan2 import checkpoints
    from weights import WeightsError

    special = {".perceptual": load_perceptual, ".parser": load_parser, ".sketch": load_sketch_extractor}
    files = cases()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in files:
        started = time.monotonic()
        try:
            special.get(Path(name).suffix, checkpoints.load)(folder / name)
        except WeightsError as error:
            said = str(error).removeprefix(str(folder))
            assert len(said) <= 300, said
        else:
            raise AssertionError(f"{name} was read")
        took, grown = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(f"{name}: {len(files[name])} bytes, {took:.1f} s, {grown >> 10} MiB so far: {said}", flush=True)
        expected = {"storage.pt": "a storage larger than the file", "copies.pkl": "repeats its data", "path.pkl": "str"}
        assert expected.get(name, "") in said, said
        assert took < LONGEST and grown >> 10 < LARGEST, name
    print("all refused")


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file
    main(Path(sys.argv[1]))
