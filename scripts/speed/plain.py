"""The plain formulation of the operators, and how it takes the place of ours: what our speed is compared with."""


def plain_upfirdn2d(x, f, up=1, down=1, padding=0, flip_filter=False, gain=1):
    """Zero insertion, padding, one dense 2-D filter, decimation, as the definition says."""
    import torch
    import torch.nn.functional as F

    from stylegan2.ops.upfirdn2d import parse_padding

    f = torch.ones([1, 1]) if f is None else f
    f = (f.outer(f) if f.ndim == 1 else f).to(x)
    n, c, h, w = x.shape
    if up > 1:
        spread = x.new_zeros([n, c, h, up, w, up])
        spread[:, :, :, 0, :, 0] = x
        x = spread.reshape(n, c, h * up, w * up)
    x = F.pad(x, parse_padding(padding))
    f = (f if flip_filter else f.flip([0, 1])) * gain
    return F.conv2d(x, f.expand(c, 1, *f.shape), groups=c)[:, :, ::down, ::down]


def plain_bias_act(x, b=None, dim=1, act="linear", alpha=None, gain=None, clamp=None):
    from stylegan2.ops.bias_act import ACTIVATIONS

    function, default_alpha, default_gain = ACTIVATIONS[act]
    if b is not None:
        x = x + b.to(x.dtype).reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    x = function(x, default_alpha if alpha is None else alpha) * (default_gain if gain is None else gain)
    return x if clamp is None else x.clamp(-clamp, clamp)


def use_plain_formulation():
    """Replace the operators inside the package, in this process."""
    from importlib import import_module

    import stylegan2.generator
    import stylegan2.layers

    for name in ("conv2d_resample", "upfirdn2d"):
        import_module(f"stylegan2.ops.{name}").upfirdn2d = plain_upfirdn2d
    stylegan2.generator.bias_act = stylegan2.layers.bias_act = plain_bias_act
    stylegan2.generator.cpu_layer_applies = lambda *arguments: False
    ours = stylegan2.generator.modulated_conv2d
    stylegan2.generator.modulated_conv2d = lambda *a, **options: ours(*a, **(options | {"fused_modconv": True}))
