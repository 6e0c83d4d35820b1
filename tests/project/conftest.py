"""Pictures for the command's tests."""

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def face(samples, tmp_path_factory):
    """A small picture with one face."""
    path = tmp_path_factory.mktemp("face") / "face.png"
    Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((400, 400)).save(path)
    return path


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    """A picture without a face."""
    path = tmp_path_factory.mktemp("blank") / "blank.png"
    Image.new("RGB", (240, 240), (120, 140, 160)).save(path)
    return path
