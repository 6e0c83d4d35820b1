"""CurricularFace's IR-101: the released layout, the reference's numbers, and what is refused."""

import golden
import numpy as np
import pytest
import torch

from metrics import curricularface, likeness
from metrics.curricularface import IR101, embeddings, face_square, identity_similarity, load_curricularface
from weights import WeightsError


def test_layout_of_the_released_backbone():
    """672 tensors, 65 million parameters; 49 blocks of which the first of each stage halves the picture."""
    with torch.device("meta"):
        network = IR101()
        state = network.state_dict()
        shape = network.body(network.input_layer(torch.empty(1, 3, 112, 112))).shape
    assert len(state) == 672 and sum(p.numel() for p in network.parameters()) == 65_128_768
    assert shape == (1, 512, 7, 7)
    assert state["body.3.shortcut_layer.0.weight"].shape == (128, 64, 1, 1)  # second stage begins at block 3
    assert state["body.46.res_layer.1.weight"].shape == (512, 256, 3, 3) and "body.48.res_layer.4.weight" in state
    assert state["output_layer.3.weight"].shape == (512, 25088) and "output_layer.4.weight" not in state


def test_keys_are_those_of_the_reference():
    expected = golden.facts("curricularface_ir101_keys.json")["state_dict"]
    with torch.device("meta"):
        found = {key: list(value.shape) for key, value in IR101().state_dict().items()}
    assert found == expected


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A file in the released layout with the golden set's values (recipe F, c = 0.7)."""
    expected = golden.arrays("curricularface_ir101.npz")
    path = tmp_path_factory.mktemp("curricularface") / "backbone.pth"
    torch.save(recipe(golden.facts("curricularface_ir101_keys.json")["state_dict"]), path)
    return path, expected


def recipe(shapes):
    state = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros([], dtype=torch.long)
        elif key.endswith("running_mean") or key.endswith(".bias"):
            state[key] = 0.1 * golden.n(key, shape)
        elif key.endswith("running_var"):
            state[key] = 0.5 + golden.n(key, shape).abs()
        elif len(shape) == 4:
            state[key] = golden.n(key, shape) * np.float32(0.7 / np.prod(shape[1:]) ** 0.5)
        elif len(shape) == 2:
            state[key] = golden.n(key, shape) * np.float32(shape[1] ** -0.5)
        elif key == "input_layer.2.weight" or key.endswith("res_layer.2.weight"):
            state[key] = 0.25 + 0.05 * golden.n(key, shape)
        else:
            state[key] = 1 + 0.1 * golden.n(key, shape)
    return state


def test_numbers_of_the_reference(released):
    path, expected = released
    network = load_curricularface(path)
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    with torch.no_grad():
        last = network.body(network.input_layer(expected["x"]))
        golden.assert_close(last.flatten(1), expected["conv_out"])
        golden.assert_close(network.output_layer(last), expected["embedding"], absolute=1.8e-4)
    x = expected["x"][:1].requires_grad_()
    unit = torch.nn.functional.normalize(network(x))
    golden.assert_close(unit, expected["embedding_l2"][:1], absolute=3.5e-6)
    (gradient,) = torch.autograd.grad((unit * golden.n("curricularface_ir101:r", (1, 512))).sum(), x)
    difference = (gradient - expected["grad_x0"]).norm() / expected["grad_x0"].norm()
    assert difference < 1e-2


def test_measure_of_one_person_is_one(released, monkeypatch):
    """Through the tables' measure: named for what it is, blind to the picture's size, 1 for the picture itself."""
    monkeypatch.setattr(curricularface, "FILE", released[0])
    measure = likeness.face_measure()
    assert measure.name == "identity similarity (CurricularFace)"
    pictures = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8) * 2 - 1, size=(256, 256), mode="bilinear")
    found = measure.extract(pictures)
    assert found.shape == (2, 512) and torch.allclose(found.norm(dim=1), torch.ones(2))
    assert torch.allclose(measure.compare(found, found), torch.ones(2))
    assert measure.compare(found[:1], found[1:]).item() < 0.999
    larger = torch.nn.functional.interpolate(pictures, size=(512, 512), mode="bilinear")
    assert measure.compare(found, measure.extract(larger)).min() > 0.99


def test_the_square_puts_the_face_where_the_template_has_it():
    """A dot where FFHQ's frame has the template's left eye falls on (38.3, 51.7), the template's place for it."""
    centre, scale = (55.9, 51.6 + 4.07), 146.4  # of the frame, in pixels of the template
    x, y = ((place - middle) / scale + 0.5 for place, middle in zip((38.29, 51.70), centre, strict=True))
    picture = torch.zeros(1, 3, 1024, 1024)
    column, row = round(x * 1024), round(y * 1024)
    picture[:, :, row - 8 : row + 8, column - 8 : column + 8] = 1
    square = face_square(picture)[0, 0]
    grid = torch.arange(112) + 0.5
    found = [((square.sum(axis) * grid).sum() / square.sum()).item() for axis in (0, 1)]
    assert found == [pytest.approx(38.29, abs=0.3), pytest.approx(51.70, abs=0.3)]


def test_similarity_by_hand():
    a, b = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[6.0, 8.0], [0.0, 2.0]])
    assert identity_similarity(a, b).tolist() == [pytest.approx(1), pytest.approx(0)]


def test_other_files_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="none.pth: no such .*; python scripts/download_weights.py curricularface"):
        load_curricularface(tmp_path / "none.pth")
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="other.pth: does not hold CurricularFace's IR-101 backbone"):
        load_curricularface(tmp_path / "other.pth")


class Executes:
    def __reduce__(self):
        return open, (str(Executes.trace), "w")


def test_nothing_in_a_file_is_executed(tmp_path):
    Executes.trace = tmp_path / "trace"
    torch.save({"weight": Executes()}, tmp_path / "hostile.pth")
    with pytest.raises(WeightsError, match="hostile.pth: .* asks for io.open"):
        load_curricularface(tmp_path / "hostile.pth")
    assert not Executes.trace.exists()


def test_embeddings_are_unit_vectors_of_the_square():
    """Only the square counts: a picture changed outside it has the same embedding."""

    def network(x):
        assert x.shape[1:] == (3, 112, 112)
        return x.flatten(1)[:, :512] + 2

    picture = torch.rand(1, 3, 128, 128)
    changed = picture.clone()
    changed[:, :, :10], changed[:, :, :, 118:] = 0, 0
    assert torch.equal(embeddings(network, picture), embeddings(network, changed))
    assert embeddings(network, picture).norm().item() == pytest.approx(1)
