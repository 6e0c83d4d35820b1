"""The sketch extractor against the layer list that was derived from the DeepFaceEditing release."""

import golden
import pytest
import torch
import torch.nn.functional as F

from sketch.network import SketchExtractor


def norm(x, state, key):
    return F.instance_norm(x, weight=state[f"{key}.weight"], bias=state[f"{key}.bias"], eps=1e-5)


def block(x, state, key):
    """x + f(x) in the words of the facts: pad, conv, norm, ReLU, pad, conv, norm."""
    y = x
    for half in (0, 1):
        part = f"{key}.conv_block.{half}"
        y = F.conv2d(F.pad(y, [1] * 4, mode="reflect"), state[f"{part}.conv.weight"], state[f"{part}.conv.bias"])
        y = norm(y, state, f"{part}.norm")
        y = torch.relu(y) if half == 0 else y
    return x + y


def run_layer_list(layers, state, x):
    for layer in layers:
        key, kind = f"model.{layer['index']}", layer["kind"]
        if kind == "ReflectionPad2d":
            x = F.pad(x, [layer["padding"]] * 4, mode="reflect")
        elif kind == "Conv2d":
            weight, bias = state[f"{key}.weight"], state[f"{key}.bias"]
            x = F.conv2d(x, weight, bias, stride=layer["stride"], padding=layer["zero_padding"])
        elif kind == "ConvTranspose2d":
            weight, bias = state[f"{key}.weight"], state[f"{key}.bias"]
            x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
        elif kind == "InstanceNorm2d":
            x = norm(x, state, key)
        elif kind == "ResnetBlock":
            x = block(x, state, key)
        else:
            x = {"ReLU": torch.relu, "Tanh": torch.tanh}[kind](x)
    return x


def test_released_size_has_the_listed_keys_and_computes_the_listed_layers():
    facts = golden.facts("dfe_sketch_generator_facts.json")
    torch.manual_seed(0)
    network = SketchExtractor()
    state = network.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == facts["state_dict_keys"]
    assert sum(value.numel() for value in state.values()) == facts["n_parameters_with_norm_affine"]
    for value in state.values():
        if value.ndim == 1:
            value.add_(0.3 * torch.randn(value.shape))  # norms that are not 1 and 0
    x = torch.rand(1, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        golden.assert_close(network(x), run_layer_list(facts["layers"], state, x))


def test_sizes_that_cannot_come_back_are_refused():
    network = SketchExtractor(ngf=2, n_downsampling=2, n_blocks=1)
    assert network(torch.zeros(2, 3, 12, 20)).shape == (2, 3, 12, 20)
    with pytest.raises(ValueError, match="multiple of 4"):
        network(torch.zeros(1, 3, 10, 12))
