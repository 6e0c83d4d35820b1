"""Refine the texture of a head mesh with a photograph of the person, or with the portrait that project.py made.

    python scripts/refine_texture.py --mesh head.obj --texture skin.png --image photo.png --camera camera.json -o out

Writes OUT/texture.png (at the size of --texture), visible.png (texels that the picture shows), sheet.png, report.json.
Without --camera one is solved from the face's landmarks and written to OUT/camera.json. The same command again goes on
where it was stopped.
"""

import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

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
    import torch

    import weights
    from alignment import AlignmentError, PictureError, read_picture
    from jobs.texture_refinement import refine_texture
    from losses.perceptual import load_perceptual
    from postprocess.parsing import load_parser
    from texture import CameraError, MeshError, read_camera, read_mesh, solve_camera
    from texture.camera import write_camera
    from texture.skin import skin_mask

    device = weights.pick_device(device)
    try:
        mesh = read_mesh(mesh_path)
        texture, picture = read_picture(texture_path).pixels, read_picture(image_path).pixels
        network = load_perceptual(perceptual).to(device, memory_format=torch.channels_last)
        error = None
        if camera_path is None:
            camera, error = solve_camera(mesh, texture, picture)
            write_camera(out / "camera.json", camera)
            click.echo(f"camera solved: landmarks are met within {error:.1f} pixels (RMS)")
        else:
            camera = read_camera(camera_path)
        if picture.shape[:2] != (camera.height, camera.width):
            raise CameraError(f"{camera_path}: is for pictures of {camera.width} x {camera.height} pixels, but "
                              f"{image_path} has {picture.shape[1]} x {picture.shape[0]}")  # fmt: skip
        if mask_path is None:
            mask = skin_mask(picture, load_parser(parser_path).to(device))
        else:
            mask = read_picture(mask_path).pixels[..., 0] > 127
            if mask.shape != picture.shape[:2]:
                raise PictureError(f"{mask_path}: must be as large as {image_path}")
    except (MeshError, CameraError, PictureError, AlignmentError, weights.WeightsError) as failure:
        message = str(failure) if ": " in str(failure) else f"{image_path}: {failure}"
        raise click.ClickException(message) from failure
    if perceptual is None:
        click.echo("features by the embedded perceptual network; --perceptual vgg16.pth takes the paper's VGG-16")

    features = perceptual or weights.DEMO / "perceptual.safetensors"
    files = {"mesh": mesh_path, "texture": texture_path, "image": image_path, "perceptual": features}
    facts = {"device": device, "features": str(perceptual or "embedded"), "reprojection_error_pixels": error}
    try:
        refine_texture(out, mesh, texture, picture, camera, mask, network, rounds=rounds, iterations=iterations,
                       files=files, facts=facts)  # fmt: skip
    except ValueError as failure:
        raise click.ClickException(f"{image_path}: {failure}") from failure
    click.echo(f"wrote {out / 'texture.png'}; look at {out / 'sheet.png'}")


if __name__ == "__main__":
    main()
