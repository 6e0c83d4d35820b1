"""Files of w+ latents: what projectors and PTI write is taken, everything else is refused in one line."""

import io
import pickle
import struct
import types
import zipfile

import numpy as np
import pytest
import torch

from inversion.latents import load_w_plus

G = types.SimpleNamespace(num_ws=8, w_dim=16)
W = np.random.default_rng(0).standard_normal((2, 8, 16)).astype(np.float32)


def test_what_projectors_write(tmp_path):
    np.savez(tmp_path / "ours.npz", w_plus=W)
    np.savez_compressed(tmp_path / "projected_w.npz", w=W)
    np.save(tmp_path / "w.npy", np.asfortranarray(W))
    torch.save(torch.from_numpy(W).requires_grad_(), tmp_path / "0.pt")  # PTI's pivot
    torch.save({"w": torch.from_numpy(W)}, tmp_path / "in_a_dict.pt")
    (tmp_path / "w.npy").rename(tmp_path / "LATENTS.NPY")
    for path in sorted(tmp_path.iterdir()):
        found = load_w_plus(path, G)
        assert torch.equal(found, torch.from_numpy(W)) and found.dtype == torch.float32 and not found.requires_grad
    np.save(tmp_path / "one.npy", W[0].astype(np.float64))
    assert load_w_plus(tmp_path / "one.npy", G).shape == (1, 8, 16)


def written(path, make):
    stream = io.BytesIO()
    make(stream)
    path.write_bytes(stream.getvalue())
    return path


def claims(shape):
    """An .npy header alone."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode()


def packed(data, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("w_plus.npy", data)
    return stream.getvalue()


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("latents.npy", lambda f: np.save(f, {"a.png": [W]}, allow_pickle=True), "ReStyle"),
        ("bare.npy", lambda f: f.write(pickle.dumps({"a": 1})), "no readable file"),
        ("text.npz", lambda f: np.savez(f, w_plus=np.array([["a"]])), "not floating-point"),
        ("whole.npy", lambda f: np.save(f, np.zeros((1, 8, 16), int)), "not floating-point"),
        ("other.npz", lambda f: np.savez(f, x=W), "holds no w_plus"),
        ("shape.npy", lambda f: np.save(f, W[:, :7]), r"shape \[2, 7, 16\], the generator takes \[N, 8, 16\]"),
        ("none.npy", lambda f: np.save(f, W[:0]), "shape"),
        ("nan.npy", lambda f: np.save(f, W * np.nan), "not finite"),
        ("claim.npy", lambda f: f.write(claims((10**9, 8, 16))), "less than it says"),
        ("negative.npy", lambda f: f.write(claims((-1, 8, 16))), "no readable file"),
        ("claim.npz", lambda f: f.write(packed(claims((10**9, 8, 16)))), "less than it says"),
        ("bomb.npz", lambda f: f.write(packed(claims((10**6, 8, 16)) + bytes(10**6), zipfile.ZIP_DEFLATED)), "less"),
        ("cut.npz", lambda f: f.write(b"PK\x03\x04" + bytes(100)), "no readable file"),
        ("dict.pt", lambda f: torch.save({"x": torch.zeros(1)}, f), "holds no w_plus"),
        ("ints.pt", lambda f: torch.save(torch.zeros(1, 8, 16, dtype=torch.int64), f), "holds no w_plus"),
        ("empty.pt", lambda f: None, "read safely"),
    ],
)
def test_everything_else_is_refused_in_one_line(tmp_path, name, content, said):
    path = written(tmp_path / name, content)
    with pytest.raises(ValueError, match=said) as error:
        load_w_plus(path, G)
    message = str(error.value)
    assert message.startswith(str(path)) and "\n" not in message and "; " in message


def test_absent_files_and_folders(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(ValueError, match="no such|no regular"):
            load_w_plus(path, G)
