"""The command that trains the encoder of the start: it writes a file that fits, and goes on from its state."""

import shutil
import time

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import weights
from alignment.tensors import to_tensor
from inversion.start import load_start
from scripts.demo import train_start
from scripts.demo.train_start import main, new_encoder
from stylegan2 import Discriminator, Generator, checkpoints
from training.reconstruction import Encoder


@pytest.fixture
def folder(tmp_path):
    """weights/ with a pair and its D, data/ with both looks and an evaluation identity."""
    torch.manual_seed(0)
    widths = {"channel_base": 128, "channel_max": 8}
    G, D = Generator(8, 0, 8, 32, 3, {"num_layers": 1}, widths), Discriminator(0, 32, 3, **widths)
    (tmp_path / "weights").mkdir()
    checkpoints.save(tmp_path / "weights" / "g_real.safetensors", {"G_ema": G, "D": D})
    checkpoints.save(tmp_path / "weights" / "g_rendering.safetensors", {"G_ema": G})
    rng = np.random.default_rng(0)
    for look in ("rendered", "real"):
        (tmp_path / "data" / look).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / look / f"{number}.png")
    shutil.copytree(tmp_path / "data" / "real", tmp_path / "data" / "matched")
    for number in range(3):  # 3.png is left for the evaluation
        (tmp_path / "data" / "matched" / f"{number}.png").unlink()
    return tmp_path


def test_the_command_goes_on_where_it_stopped(folder):
    out = folder / "weights" / "start.safetensors"
    command = ["--data", folder / "data", "--weights", folder / "weights", "--out", out, "--minutes"]
    seen = []
    for minutes in (0.005, 0.015):
        done = CliRunner().invoke(main, [str(part) for part in (*command, minutes)])
        assert done.exit_code == 0, done.output
        seen.append(weights.card(out)["kimg"])
    assert 0 < seen[0] < seen[1]
    assert weights.card(out)["trained_for"] == weights.sha256(folder / "weights" / "g_rendering.safetensors")
    G = checkpoints.load_generator(folder / "weights" / "g_rendering.safetensors")
    assert load_start(out, G)(torch.zeros(1, 3, 32, 32)).shape == (1, G.num_ws, 8)


def test_it_starts_as_the_encoder_beside_which_the_generator_was_trained(folder):
    networks = checkpoints.load(folder / "weights" / "g_real.safetensors")
    G, D = networks["G_ema"], networks["D"]
    beside = Encoder(D, G)
    tensors = {f"encoder.{name}": tensor for name, tensor in beside.state_dict().items()}
    torch.save({"reconstruction": tensors}, folder / "state.pt")
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    encoder = new_encoder(G, D, folder / "state.pt")
    torch.testing.assert_close(encoder.w_plus(x, G), beside(x, G.mapping.w_avg)[2].detach())


def test_what_is_no_state_and_no_data_is_named(folder):
    out = folder / "weights" / "start.safetensors"
    torch.save({"networks": {}}, folder / "state.pt")
    torch.save({"encoder": {}}, folder / "start.safetensors.state")
    (folder / "junk.pt").write_bytes(b"junk")
    for wrong, named in (
        (["--init", folder / "state.pt"], "state.pt: holds no encoder"),
        (["--init", folder / "junk.pt"], "junk.pt: holds no encoder"),
        (["--out", folder / "start.safetensors"], "start.safetensors.state: does not fit"),
        (["--data", folder], "rendered: no such folder"),
    ):
        command = ["--data", folder / "data", "--weights", folder / "weights", "--out", out, "--minutes", 0.001, *wrong]
        done = CliRunner().invoke(main, [str(part) for part in command])
        assert done.exit_code == 1 and named in done.output and isinstance(done.exception, SystemExit), done.output


def test_photos_are_read_as_g_rendering_draws_them(folder, monkeypatch):
    """With the photos' latents: what is read is what g_rendering draws of them, mirrored where the photo is."""

    class Seen(Exception):
        pass

    def stop(encoder, generators, perceptual, read, wanted):
        raise Seen(generators[0], read, wanted)

    monkeypatch.setattr(train_start, "reconstruction_error", stop)
    names = [folder / "data" / "real" / f"{number}.png" for number in range(3)]
    latents = np.random.default_rng(1).standard_normal((3, 8, 8), dtype=np.float32)
    np.savez(folder / "w_plus.npz", w_plus=latents)
    given = folder / "weights", [names, names], folder / "start.safetensors", 60, time.monotonic
    with pytest.raises(Seen) as seen:
        train_start.train(*given, w_plus=folder / "w_plus.npz")
    g_rendering, read, wanted = seen.value.args
    torch.testing.assert_close(read[0], wanted[0])
    photos = torch.stack([to_tensor(np.array(Image.open(name))[None], "cpu")[0] for name in names])
    drawn = g_rendering.synthesis(torch.from_numpy(latents), noise_mode="const").clamp(-1, 1)
    photos, drawn = (torch.cat([x, x.flip(3)]) for x in (photos, drawn))
    which = (wanted[1][:, None] - photos).abs().amax((2, 3, 4)).argmin(1)
    torch.testing.assert_close(wanted[1], photos[which])
    torch.testing.assert_close(read[1], drawn[which], atol=1e-4, rtol=0)
    assert len(which.unique()) > 3
    np.savez(folder / "w_plus.npz", w_plus=latents[:2])
    with pytest.raises(ValueError, match="w_plus.npz: 2 latents for 3 photos"):
        train_start.train(*given, w_plus=folder / "w_plus.npz")
