"""Train the encoder that says where the inversion into the embedded g_rendering starts (inversion/start.py).

    python -m scripts.demo.train_start --data ../shared/avatars --exclude HELD_OUT --minutes 30

Both generators stay as they are. Three of four pictures are computer graphics and are drawn again by g_rendering, the
fourth is a photo and is drawn by g_real, so that the encoder's w+ suits both. --init takes the encoder beside which
g_real was trained, from that run's state.pt. OUT.state, beside OUT, keeps what is needed to go on: the same command
does, with more minutes.
"""

import copy
import time
from contextlib import contextmanager
from pathlib import Path

import click
import torch

PHOTOS = 4  # one of so many pictures is a photo
LEARNING_RATE = 2e-3
HALF_LIFE = 1500  # pictures, of the average of the weights that is kept
RISE, FALL = 400, 0.5  # the learning rate rises over so many pictures, and falls over the last share of the minutes
LICENCE = "Apache-2.0; trained on CC0 renders"


def reconstruction_error(encoder, generators, perceptual, pictures):
    """Mean over the pictures of pyramid error + 2 LPIPS between them and what the generators draw of their w+, and a
    little for leaving the mean latent. pictures: one batch [N, 3, R, R] a generator, all of one mapping network."""
    from training.reconstruction import pyramid_error

    x = torch.cat(pictures)
    shift = encoder(x)
    parts = zip(generators, shift.split([len(part) for part in pictures]), strict=True)
    y = torch.cat([G.synthesis(G.mapping.w_avg + part, noise_mode="const") for G, part in parts])
    with torch.no_grad():
        wanted = perceptual.features(x)
    lpips = perceptual.distance(perceptual.features(y), wanted).mean()
    return pyramid_error(y - x) + 2 * lpips + 1e-3 * shift.square().mean()


def new_encoder(G, D, init):
    """A StartEncoder for w+ of G, with the layers of D; init: state.pt of a run with an encoder, or None."""
    from inversion.start import StartEncoder
    from training.reconstruction import ENCODER_SIZE

    encoder = StartEncoder(G.num_ws, G.w_dim, min(G.img_resolution, ENCODER_SIZE), D.config)
    if init is not None:
        with state_of(init, "holds no encoder for this g_real; give the state.pt of its own run") as state:
            kept = state["reconstruction"]
            kept = {name.removeprefix("encoder."): value for name, value in kept.items() if name.startswith("encoder.")}
            for name in ("trunk.b4.out.weight", "trunk.b4.out.bias"):
                kept[name] = kept[name][-G.num_ws * G.w_dim :]  # what comes before is of z
            encoder.load_state_dict(kept)
    return encoder.to(memory_format=torch.channels_last)


@click.command(help=__doc__)
@click.option("--data", default="../shared/avatars", show_default=True, type=click.Path(path_type=Path))
@click.option("--exclude", type=click.Path(exists=True, file_okay=False), help="Names left out.  [DATA/matched]")
@click.option("--weights", "folder", type=click.Path(path_type=Path), help="Folder of the pair.  [the embedded one]")
@click.option("--init", type=click.Path(exists=True, dir_okay=False), help="state.pt of a run of train.py.")
@click.option("--out", default="weights/demo/start.safetensors", show_default=True, type=click.Path(path_type=Path))
@click.option("--minutes", default=30.0, show_default=True, help="Of the processor.")
@click.option("--learning-rate", default=LEARNING_RATE, show_default=True)
def main(data, exclude, folder, init, out, minutes, learning_rate):
    from training.dataset import DatasetError, training_names

    try:
        looks = [training_names(data / look, exclude or data / "matched") for look in ("rendered", "real")]
        train(folder, looks, out, 60 * minutes, time.process_time, init, learning_rate=learning_rate)
    except (DatasetError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def train(folder, looks, out, seconds, clock, init=None, device="cpu", batch=16, learning_rate=LEARNING_RATE):
    """Train the encoder of the pair in `folder` (None: the embedded one) until `seconds` of `clock` have gone into it,
    those of the state that it goes on from included, and write it to `out`. Returns the kimg it has seen.

    looks: the names of the rendered pictures and of the photos. init: state.pt of a run with an encoder, or None.
    Raises ValueError, naming the file, for a state that does not fit.
    """
    import weights
    from inversion.start import KIND
    from losses.perceptual import load_perceptual
    from stylegan2 import checkpoints
    from training.dataset import Pictures
    from weights import roles

    files = [roles.find(folder, name) for name in ("g_rendering", "g_real")]
    place = {"device": device, "memory_format": torch.channels_last}
    generators = [checkpoints.load_generator(file).to(**place) for file in files]
    D, perceptual = checkpoints.load_discriminator(files[1]), load_perceptual().to(**place)
    sets = [Pictures(names, generators[0].img_resolution) for names in looks]
    encoder = new_encoder(generators[0], D, init).to(**place)
    average = copy.deepcopy(encoder)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=learning_rate, betas=(0.9, 0.99))
    state = out.with_name(out.name + ".state")
    seen, spent = restore(state, encoder, average, optimizer)
    counts = [batch - batch // PHOTOS, batch // PHOTOS]
    before, told, written = spent - clock(), [], time.monotonic()
    while (spent := before + clock()) < seconds:
        share = min(1.0, (1 - spent / seconds) / FALL) * min(1.0, seen / RISE + 0.1)
        optimizer.param_groups[0]["lr"] = learning_rate * share
        torch.manual_seed(seen)
        pictures = [batch_of(images, count).to(**place) for images, count in zip(sets, counts, strict=True)]
        loss = reconstruction_error(encoder, generators, perceptual, pictures)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        seen += batch
        follow(average, encoder, 0.5 ** (batch / min(HALF_LIFE, 0.1 * seen)))
        told.append(loss.detach())
        if len(told) == 50:
            click.echo(f"{seen} pictures, {spent / 60:.1f} min: error {sum(told).item() / 50:.4f}")
            told = []
        if time.monotonic() - written > 180:
            keep(state, encoder, average, optimizer, seen, spent)
            written = time.monotonic()
    keep(state, encoder, average, optimizer, seen, spent)
    card = {"data": "avatars, rendered/ and real/", "command": "python -m scripts.demo.train_start", "licence": LICENCE}
    card |= {"kimg": seen / 1000, "minutes": round(spent / 60, 1), "trained_for": weights.sha256(files[0])}
    tensors = {name: (t.half() if t.is_floating_point() else t).cpu() for name, t in average.state_dict().items()}
    weights.save(out, tensors, kind=KIND, config=encoder.config, card=card)
    return seen / 1000


def batch_of(images, count):
    """[count, 3, R, R] in [-1, 1], drawn and mirrored at random."""
    x = images[torch.randint(0, len(images), [count]).tolist()].float() / 127.5 - 1
    return torch.where(torch.rand(count, 1, 1, 1) < 0.5, x.flip(3), x).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def follow(average, encoder, beta):
    for kept, value in zip(average.parameters(), encoder.parameters(), strict=True):
        kept.lerp_(value, 1 - beta)


def keep(path, encoder, average, optimizer, seen, spent):
    from weights.files import written_atomically

    networks = {"encoder": encoder.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
    with written_atomically(path) as unfinished:
        torch.save(networks | {"seen": seen, "spent": spent}, unfinished)


def restore(path, encoder, average, optimizer):
    """(pictures seen, seconds spent) of the state at `path`, which the networks take; (0, 0.0) where there is none."""
    if not path.is_file():
        return 0, 0.0
    with state_of(path, "does not fit these weights; remove it or give another --out") as state:
        for name, target in (("encoder", encoder), ("average", average), ("optimizer", optimizer)):
            target.load_state_dict(state[name])
        return state["seen"], state["spent"]


@contextmanager
def state_of(path, otherwise):
    """What a state file holds. Raises ValueError, naming the file, where that fails or is put to no use."""
    from training.snapshots import STATE_FAILURES, read_state

    try:
        yield read_state(path, "cpu")
    except (*STATE_FAILURES, OSError) as error:
        raise ValueError(f"{path}: {otherwise}") from error


if __name__ == "__main__":
    main()
