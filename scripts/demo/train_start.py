"""Train the encoder that says where the inversion into the embedded g_rendering starts (inversion/start.py).

    python -m scripts.demo.train_start --data ../shared/avatars --exclude HELD_OUT --minutes 30

Both generators stay as they are. Half of the pictures are computer graphics and are drawn again by g_rendering. The
other half become photos: what g_rendering draws of a photo's w+ is read, and g_real has to draw the photo. So the w+
keeps to where g_real draws photos, which reconstruction alone does not ask for. --init takes the encoder beside which
g_real was trained, from that run's state.pt, and --w-plus what it read off the photos. OUT.state, beside OUT, keeps
what is needed to go on: the same command does, with more minutes.
"""

import copy
import time
from contextlib import contextmanager
from pathlib import Path

import click
import torch

PHOTOS = 2  # one of so many pictures is to become a photo
LEARNING_RATE = 2e-3
HALF_LIFE = 1500  # pictures, of the average of the weights that is kept
RISE, FALL = 400, 0.5  # the learning rate rises over so many pictures, and falls over the last share of the minutes
LICENCE = "Apache-2.0; trained on CC0 renders"


def reconstruction_error(encoder, generators, perceptual, read, wanted):
    """Mean over the pictures of pyramid error + 2 LPIPS between what is wanted and what the generators draw of the w+
    of what is read, and a little for leaving the mean latent. read, wanted: one batch [N, 3, R, R] a generator, all of
    one mapping network."""
    from training.reconstruction import pyramid_error

    shift = encoder(torch.cat(read))
    parts = zip(generators, shift.split([len(part) for part in read]), strict=True)
    y = torch.cat([G.synthesis(G.mapping.w_avg + part, noise_mode="const") for G, part in parts])
    x = torch.cat(wanted)
    with torch.no_grad():
        features = perceptual.features(x)
    lpips = perceptual.distance(perceptual.features(y), features).mean()
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
@click.option(
    "--w-plus", type=click.Path(exists=True, dir_okay=False), help="w_plus.npz of that run.  [a photo itself is read]"
)
@click.option("--out", default="weights/demo/start.safetensors", show_default=True, type=click.Path(path_type=Path))
@click.option("--minutes", default=30.0, show_default=True, help="Of the processor.")
@click.option("--learning-rate", default=LEARNING_RATE, show_default=True)
def main(data, exclude, folder, init, w_plus, out, minutes, learning_rate):
    from training.dataset import DatasetError, training_names

    try:
        looks = [training_names(data / look, exclude or data / "matched") for look in ("rendered", "real")]
        train(folder, looks, out, 60 * minutes, time.process_time, init, w_plus, learning_rate=learning_rate)
    except (DatasetError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def train(
    folder, looks, out, seconds, clock, init=None, w_plus=None, device="cpu", batch=16, learning_rate=LEARNING_RATE
):
    """Train the encoder of the pair in `folder` (None: the embedded one) until `seconds` of `clock` have gone into it,
    those of the state that it goes on from included, and write it to `out`. Returns the kimg it has seen.

    looks: the names of the rendered pictures and of the photos. init: state.pt of a run with an encoder, or None.
    w_plus: a file of the photos' latents, in their order, or None: a photo is then read itself.
    Raises ValueError, naming the file, for a state or latents that do not fit.
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
    latents = None if w_plus is None else latents_of(w_plus, generators[1], looks[1]).to(device)
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
        batches = [batch_of(images, count) for images, count in zip(sets, counts, strict=True)]
        (rendered, _, _), (photos, which, mirrored) = batches
        rendered, photos = rendered.to(**place), photos.to(**place)
        read = photos
        if latents is not None:
            with torch.no_grad():
                read = generators[0].synthesis(latents[which], noise_mode="const").clamp(-1, 1)
                read = torch.where(mirrored.to(device), read.flip(3), read)
        loss = reconstruction_error(encoder, generators, perceptual, [rendered, read], [rendered, photos])
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


def latents_of(path, G, photos):
    """float32 [N, num_ws, w_dim], those of the photos. Raises ValueError, naming the file, where they are not."""
    from inversion.latents import load_w_plus

    latents = load_w_plus(path, G)
    if len(latents) != len(photos):
        raise ValueError(
            f"{path}: {len(latents)} latents for {len(photos)} photos; give w_plus.npz of g_real's own run"
        )
    return latents.float()


def batch_of(images, count):
    """[count, 3, R, R] in [-1, 1], drawn and mirrored at random; which they are, and whether each is mirrored."""
    which, mirrored = torch.randint(0, len(images), [count]), torch.rand(count, 1, 1, 1) < 0.5
    x = images[which.tolist()].float() / 127.5 - 1
    return torch.where(mirrored, x.flip(3), x), which, mirrored


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
