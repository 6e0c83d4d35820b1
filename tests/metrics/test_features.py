"""Features of many pictures: the same in portions and processes, computed once, never taken for another set's."""

import os
import socket

import numpy as np
import pytest
import torch
from PIL import Image

from metrics import features, fid
from metrics.features import Measure, contents, features_of_files, features_of_generator, in_portions, kept, set_measure
from training.dataset import Pictures, training_names


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFELIKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / f"{i}.png")
    return tmp_path / "set"


class Counted:
    """A measure that counts the pictures it looks at; its features are the channels' means."""

    def __init__(self, sha256="a"):
        self.seen = 0
        self.measure = Measure("mean", sha256, self.extract, lambda a, b: float((a.mean(0) - b.mean(0)).norm()))

    def extract(self, images):
        self.seen += len(images)
        return images.double().mean((2, 3))

    def of(self, folder, resolution=16, portion=2):
        return features_of_files(self.measure, Pictures(training_names(folder), resolution), portion)


def test_portions_are_joined_in_order():
    found = in_portions(lambda start, stop: torch.arange(start, stop), 11, 4)
    assert found.tolist() == list(range(11))


def test_files_are_measured_once(folder):
    counted = Counted()
    first = counted.of(folder)
    expected = np.stack([np.asarray(Image.open(path)).mean((0, 1)) / 127.5 - 1 for path in sorted(folder.iterdir())])
    np.testing.assert_allclose(first, expected, atol=1e-6)
    assert torch.equal(counted.of(folder), first) and counted.seen == 5
    (folder / "0.png").rename(folder / "z.png")  # names do not count
    counted.of(folder)
    assert counted.seen == 5


def test_what_makes_another_set(folder):
    """Other contents, another size and another network are measured anew."""
    counted, other = Counted(), Counted("b")
    counted.of(folder)
    counted.of(folder, resolution=8)
    assert counted.seen == 10
    other.of(folder)
    assert other.seen == 5
    Image.new("RGB", (16, 16)).save(folder / "0.png")
    assert counted.of(folder)[0].tolist() == [-1, -1, -1] and counted.seen == 15


def test_contents_of_a_zip_are_those_of_its_files(folder, tmp_path):
    import shutil

    archive = shutil.make_archive(str(tmp_path / "set"), "zip", folder)
    assert contents(training_names(archive)) == contents(training_names(folder))


def test_a_damaged_file_is_computed_anew(folder, cache):
    counted = Counted()
    first = counted.of(folder)
    (file,) = cache.iterdir()
    for damage in (file.read_bytes()[:-5], b"", b"\x93NUMPY nothing"):
        file.write_bytes(damage)
        assert torch.equal(counted.of(folder), first)
    assert counted.seen == 20 and torch.equal(counted.of(folder), first) and counted.seen == 20


def test_an_interrupted_write_leaves_nothing(cache, monkeypatch):
    def interrupted(path, array):
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np, "save", interrupted)
        kept({"a": 1}, None, lambda: torch.zeros(2))
    assert not list(cache.iterdir())
    assert kept({"a": 1}, None, lambda: torch.ones(2)).tolist() == [1, 1]


def draw(start, stop):
    return torch.stack([torch.full([3, 4, 4], i / 10) for i in range(start, stop)])


def test_generator_as_a_callable():
    """Any callable; with a key its features are kept, under that key and count only."""
    counted = Counted()
    plain = features_of_generator(counted.measure, draw, 7, portion=3)
    assert plain[:, 0].tolist() == pytest.approx([i / 10 for i in range(7)]) and counted.seen == 7
    for _ in range(2):
        assert torch.equal(features_of_generator(counted.measure, draw, 7, {"generator": "x"}, portion=3), plain)
    assert counted.seen == 14
    features_of_generator(counted.measure, draw, 6, {"generator": "x"}, portion=3)
    features_of_generator(counted.measure, draw, 7, {"generator": "y"}, portion=3)
    assert counted.seen == 27


def _process(rank, port, out):
    from machine import processes

    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="localhost", MASTER_PORT=port)
    os.environ["LIFELIKE_CACHE"] = f"{out}/cache{rank}"  # as two machines have
    processes.start("cpu")
    for turn in range(2):
        counted = Counted()
        found = features_of_generator(counted.measure, draw, 7, {"generator": "x"}, portion=2, processes=processes)
        np.savez(f"{out}/{rank}{turn}.npz", features=found.numpy(), seen=counted.seen)
    processes.stop()


@pytest.mark.slow
def test_two_processes_share_the_work(tmp_path):
    """Each draws its portions once, both get all in order; what one process kept alone is not trusted to both."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    torch.multiprocessing.spawn(_process, (port, str(tmp_path)), nprocs=2)
    expected = features_of_generator(Counted().measure, draw, 7, portion=2).numpy()
    for turn in range(2):
        results = [np.load(tmp_path / f"{rank}{turn}.npz") for rank in range(2)]
        assert all(np.array_equal(result["features"], expected) for result in results)
        assert [int(result["seen"]) for result in results] == [4, 3]
    assert not (tmp_path / "cache1").exists() and len(list((tmp_path / "cache0" / "features").iterdir())) == 1


def test_names_say_what_is_measured(tmp_path, monkeypatch):
    """Without Inception weights the distance is not called FID; with them it is, and their file is loaded."""
    monkeypatch.setattr(fid, "FILE", tmp_path / "absent.pth")
    embedded = set_measure()
    assert embedded.name == "feature distance (embedded)"
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    assert embedded.extract(images).shape[0] == 3 and embedded.compare is features.frechet_distance
    large = torch.nn.functional.interpolate(images, size=(512, 512), mode="bilinear")
    assert embedded.extract(large).shape == embedded.extract(images).shape

    (tmp_path / "present.pth").write_bytes(b"weights")
    monkeypatch.setattr(fid, "FILE", tmp_path / "present.pth")
    loaded = []
    monkeypatch.setattr(fid, "load_inception", lambda path, device: loaded.append(path))
    inception = set_measure()
    assert inception.name == "FID" and inception.compare is fid.fid and loaded == [tmp_path / "present.pth"]
