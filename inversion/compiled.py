"""The inversion's two networks through torch.compile, where a compiler is at hand."""

import copy
import warnings


def compile_networks(generator, perceptual):
    """Compile synthesis and features of the networks that an inversion runs, in place, and try them once.

    generator: frozen Generator. perceptual: a network of losses/perceptual.py. Returns None, or one line that says why
    nothing could be compiled; the networks are then as they were.
    """
    import torch

    from losses.resize import comparable

    from .common import noise_buffers, starting_latents

    synthesis = generator.synthesis
    w_plus = starting_latents(generator, 1).requires_grad_()
    noise = [buffer[None, None].clone().requires_grad_() for buffer in noise_buffers(generator)]
    try:
        generator.synthesis = torch.compile(synthesis)
        perceptual.features = torch.compile(perceptual.features)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            features = perceptual.features(comparable(generator.synthesis(w_plus, noise=noise)))
            sum(f.sum() for f in features).backward()
    except Exception as error:  # a missing C++ compiler, Triton or header: each has its own
        generator.synthesis = synthesis
        vars(perceptual).pop("features", None)  # the method again
        return f"not compiled ({type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]})"
    return None


def uncompiled(generator):
    """The same generator, weights shared, without torch.compile around its synthesis: to copy it or read its names."""
    inner = getattr(generator.synthesis, "_orig_mod", None)
    if inner is None:
        return generator
    plain = copy.copy(generator)
    plain._modules = dict(generator._modules, synthesis=inner)
    return plain
