"""Refine the texture of a head mesh with photographs of the person, or with the portrait that project.py made.

\b
    python scripts/refine_texture.py --mesh head.obj --texture skin.png --image photo.png --camera camera.json -o out
    python scripts/refine_texture.py --mesh head.glb --image photo.png -o out
    python scripts/refine_texture.py --mesh head.glb --image front.png --image left.png --image right.png -o out

Writes OUT/texture.SUFFIX (size, depth, alpha and format of the old one; a JPEG becomes a PNG), OUT/mesh.glb of a glTF
mesh, visible.png (texels that the pictures show), sheet.png, report.json. Of several pictures the first should be the
one whose light is wanted: it is the light of the result. Without --camera they are solved from the face's landmarks and
written to OUT/camera.json, camera-2.json, ... The same command again goes on where it was stopped.
"""

from pathlib import Path

import click

EXISTING = click.Path(dir_okay=False, path_type=Path)


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.option("--mesh", required=True, type=EXISTING, help="Head with UVs: OBJ, PLY or glTF.")
@click.option("--texture", type=EXISTING, help="Its imperfect texture.  [default: the one that the mesh brings]")
@click.option(
    "--image", "images", required=True, multiple=True, type=EXISTING, help="Photograph of the same person; repeatable."
)
@click.option(
    "--camera",
    "cameras",
    multiple=True,
    type=EXISTING,
    help="JSON, one for each --image.  [default: solved from 68 landmarks]",
)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    type=EXISTING,
    help="White where the photograph shows bare skin, one for each.  [default: by the face parser]",
)
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option("--perceptual", type=EXISTING, help="Feature network: torchvision's vgg16 .pth.  [default: embedded]")
@click.option("--parser", type=EXISTING, help="Face parser.  [default: embedded]")
@click.option("--rounds", default=0, show_default=True, type=click.IntRange(0), help="Of the paper's optimisation: 5.")
@click.option("--iterations", default=150, show_default=True, type=click.IntRange(1), help="At each scale of a round.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(out, rounds, iterations, device, **paths):
    from jobs.texture import Paths, refine_texture
    from machine.device import pick_device
    from texture import TextureSchedule

    refine_texture(Paths(**paths), out, TextureSchedule(rounds, iterations), pick_device(device))


if __name__ == "__main__":
    main()
