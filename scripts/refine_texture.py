"""Refine the texture of a head mesh with a photograph of the person, or with the portrait that project.py made.

\b
    python scripts/refine_texture.py --mesh head.obj --texture skin.png --image photo.png --camera camera.json -o out

Writes OUT/texture.png (at the size of --texture), visible.png (texels that the picture shows), sheet.png, report.json.
Without --camera one is solved from the face's landmarks and written to OUT/camera.json. The same command again goes on
where it was stopped.
"""

from pathlib import Path

import click

EXISTING = click.Path(dir_okay=False, path_type=Path)


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.option("--mesh", "mesh_path", required=True, type=EXISTING, help="Head with UVs: OBJ, PLY or glTF.")
@click.option("--texture", "texture_path", required=True, type=EXISTING, help="Its imperfect texture.")
@click.option("--image", "image_path", required=True, type=EXISTING, help="Photograph of the same person.")
@click.option("--camera", "camera_path", type=EXISTING, help="JSON.  [default: solved from 68 landmarks]")
@click.option("--mask", "mask_path", type=EXISTING, help="White where the photograph shows bare skin.  "
              "[default: by the face parser]")  # fmt: skip
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option("--perceptual", type=EXISTING, help="Feature network: torchvision's vgg16 .pth.  [default: embedded]")
@click.option("--parser", "parser_path", type=EXISTING, help="Face parser.  [default: embedded]")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--iterations", default=150, show_default=True, type=click.IntRange(1), help="At each scale of a round.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(mesh_path, texture_path, image_path, camera_path, mask_path, out, perceptual, parser_path, rounds, iterations,
         device):  # fmt: skip
    from jobs.texture import refine_texture
    from machine.device import pick_device

    refine_texture(out, mesh_path, texture_path, image_path, camera_path, mask_path, perceptual=perceptual,
                   parser=parser_path, rounds=rounds, iterations=iterations,
                   device=pick_device(device))  # fmt: skip


if __name__ == "__main__":
    main()
