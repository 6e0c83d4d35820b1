"""Weight files in the layouts they are published in, with random numbers: all that a user of the paper's path has to
fetch. Below 1024 pixels the networks whose widths a file may choose are narrow, so that a rehearsal takes minutes."""

import pickle

import torch

from weights.files import written_atomically

from .official import save_official
from .sizes import ALONE, ENCODER, sizes_of


def write_weights(folder, resolution):
    """Write the files of weights/manifest.yaml, but for dlib's, into `folder`, g_real with a D for batches of any size,
    and an e4e encoder of g_real. Those that are there stay."""
    from metrics.curricularface import IR101
    from postprocess.parsing import BiSeNet

    folder.mkdir(parents=True, exist_ok=True)
    size = sizes_of(resolution)
    writers = {
        "ffhq.pkl": lambda path: write_generator(path, size),
        ALONE: lambda path: write_generator(path, size, group=1),
        "vgg16-397923af.pth": lambda path: save(path, vgg16(whole=resolution == 1024)),
        "79999_iter.pth": lambda path: save(path, BiSeNet().state_dict()),
        "sketch_generator.pkl": lambda path: write_sketch(path, size),
        "CurricularFace_Backbone.pth": lambda path: save(path, IR101().state_dict()),
        "weights-inception-2015-12-05-6726825d.pth": lambda path: save(path, inception()),
        ENCODER: lambda path: write_encoder(path, folder / "ffhq.pkl"),
    }
    torch.manual_seed(0)
    for name, write in writers.items():
        if not (folder / name).is_file():
            write(folder / name)


def save(path, content):
    with written_atomically(path) as unfinished:
        torch.save(content, unfinished)


def write_generator(path, size, group=4):
    """G and D of StyleGAN2-ADA, as its pickle holds them; D compares pictures in groups of `group`."""
    from stylegan2 import Discriminator, Generator

    widths = {"channel_base": size.channel_base, "channel_max": size.channel_max, "num_fp16_res": 4, "conv_clamp": 256}
    G = Generator(size.dimensions, 0, size.dimensions, size.resolution, 3, {"num_layers": 8}, widths)
    with torch.no_grad():
        G.mapping.w_avg.copy_(G.mapping(torch.randn([1000, G.z_dim]))[:, 0].mean(0))
    D = Discriminator(0, size.resolution, 3, **widths, epilogue_kwargs={"mbstd_group_size": group})
    save_official(path, G.eval().requires_grad_(False), D.eval().requires_grad_(False))


def vgg16(whole):
    """torchvision's state dict; `whole`: with the classifier, which nothing here reads, but which makes 0.5 GB."""
    from torchvision.models import vgg16 as network

    with torch.device("meta"):
        state = network(weights=None).state_dict()
    kept = {name: tensor for name, tensor in state.items() if whole or name.startswith("features.")}
    return {name: torch.randn(tensor.shape) * fan(tensor) for name, tensor in kept.items()}


def fan(tensor):
    """The scale at which ReLU layers keep the variance; small for biases."""
    return (2 / tensor[0].numel()) ** 0.5 if tensor.ndim > 1 else 0.01


def inception():
    """torch-fidelity's network with its own initial numbers."""
    from metrics.fid import _inception_skeleton

    return _inception_skeleton().state_dict()


def write_sketch(path, size):
    """DeepFaceEditing's: a pickle of {name: array}."""
    from sketch.network import SketchExtractor

    state = SketchExtractor(**size.sketch).state_dict()
    with written_atomically(path) as unfinished, open(unfinished, "wb") as file:
        pickle.dump({name: tensor.numpy() for name, tensor in state.items()}, file)


def write_encoder(path, generator):
    """e4e's release: encoder, the generator in rosinality's layout as its decoder, the mean latent, the options."""
    from inversion.encoder import Encoder
    from stylegan2.checkpoints import load_generator
    from stylegan2.checkpoints.rosinality import save_rosinality

    G = load_generator(generator)
    encoder = Encoder(G.num_ws, G.w_dim // 8, cumulative=True)
    decoder = path.with_suffix(".decoder")
    save_rosinality(decoder, G)
    state = {f"decoder.{name}": tensor for name, tensor in torch.load(decoder, weights_only=True)["g_ema"].items()}
    state |= {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    average = G.mapping.w_avg.expand(G.num_ws, -1).clone()
    options = {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True, "dataset_type": "ffhq_encode"}
    save(path, {"state_dict": state, "latent_avg": average, "opts": options})
    decoder.unlink()
