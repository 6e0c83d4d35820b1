"""Results folders as other tools leave them: every result goes to its input, and what is unclear is refused."""

import click
import pytest
from PIL import Image

from compare.systems import System, read_system, write_card

INPUTS = ["a-1.jpg", "a.jpg", "b.png"]  # in this order, which is not that of the stems


def picture(path, grey=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), grey).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tool"


def test_flat_folder_of_any_suffix(folder):
    """SDEdit, AgileGAN, and ours with its card, its sheet and its subfolder."""
    wanted = {"a-1": picture(folder / "a-1.webp"), "a": picture(folder / "a.PNG"), "b": picture(folder / "b.jpeg")}
    picture(folder / "sheet.png")
    picture(folder / "reconstructions" / "a.png")
    assert read_system(folder, INPUTS) == (System("tool"), wanted)
    card = System("SDEdit", "Meng et al. 2022", {"model": "ab"}, 3.5)
    write_card(folder, card)
    assert read_system(folder, INPUTS) == (card, wanted)


def test_results_may_be_missing(folder):
    one = picture(folder / "b.jpg")
    assert read_system(folder, INPUTS)[1] == {"b": one}


def test_psp(folder):
    wanted = {name[:-4]: picture(folder / "inference_results" / f"{name[:-4]}.jpg") for name in INPUTS}
    picture(folder / "inference_coupled" / "b.jpg", 255)
    assert read_system(folder, INPUTS)[1] == wanted


def test_the_last_step_of_restyle_and_hyperstyle(folder):
    for step in (0, 4, 9, 10):
        last = {name[:-4]: picture(folder / "inference_results" / str(step) / f"{name[:-4]}.jpg") for name in INPUTS}
    assert read_system(folder, INPUTS)[1] == last
    assert read_system(folder / "inference_results", INPUTS)[1] == last


def test_e4e_numbers_follow_the_sorted_file_names(folder):
    files = [picture(folder / "inversions" / f"0000{number}.jpg") for number in (1, 2, 3)]
    for inputs in (INPUTS, INPUTS[::-1], [f"some/where/{name}" for name in INPUTS]):
        assert read_system(folder, inputs)[1] == {"a-1": files[0], "a": files[1], "b": files[2]}


def test_e4e_numbers_are_never_names(folder):
    """Inputs of FFHQ are numbers themselves, and count from zero."""
    files = [picture(folder / "inversions" / f"0000{number}.jpg") for number in (1, 2)]
    assert read_system(folder, ["00000.png", "00001.png"])[1] == {"00000": files[0], "00001": files[1]}


@pytest.mark.parametrize("numbers", [(1, 2), (0, 1, 2), (1, 2, 3, 4)])
def test_e4e_numbers_of_other_inputs(folder, numbers):
    for number in numbers:
        picture(folder / "inversions" / f"0000{number}.jpg")
    refused(folder, f"holds {len(numbers)} pictures .* 1 to 3")


def refused(folder, said, inputs=INPUTS):
    with pytest.raises(click.ClickException, match=said) as error:
        read_system(folder, inputs)
    message = error.value.message
    assert (
        ("; " in message or "holds no pictures" in message)
        and "\n" not in message
        and message.startswith(str(folder) if inputs == INPUTS else "")
    )


def test_what_is_unclear_is_refused(folder, tmp_path):
    refused(folder, "no such folder")
    folder.mkdir()
    refused(folder, "holds no pictures")
    picture(folder / "c.png")
    refused(folder, r"\(c.png, ...\) are named like none of the inputs \(a-1.jpg")
    picture(folder / "a.png")
    read_system(folder, INPUTS)
    picture(folder / "a.jpg")
    refused(folder, "the same name")
    refused(folder, "b.png: the input b.jpg has the same name", [*INPUTS, "b.jpg"])


@pytest.mark.parametrize("card", ["", "[]", "7", '{"source": "x"}', "{"])
def test_damaged_card(folder, card):
    picture(folder / "a.png")
    (folder / "system.json").write_text(card)
    refused(folder, "system.json: not the card")
