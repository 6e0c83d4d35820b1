"""Make rendered faces real: a portrait, a display image or a folder in, photo-real portraits and composites out.

\b
    python project.py avatar.png -o out
    python project.py samples -o out
    python project.py frames -o out --sequence
    python project.py clip.mp4 -o out
    python project.py avatar.png -o out --portrait edited.png
    python project.py avatar.png -o out --mesh head.obj --texture skin.png

For every picture: OUT/NAME/composite.SUFFIX of the picture's own format, OUT/NAME/sheet.png and, for each face N,
faceN_crop.png, faceN_inversion.png, faceN_portrait.png, faceN_result.png, faceN_mask.png and faceN_w_plus.npz;
OUT/results.html, OUT/sheet.png and OUT/report.json show and say what was done and how well. With --mesh,
OUT/texture/ holds the avatar's texture, refined with the composite (scripts/refine_texture.py).
The same command again does what is missing, and with another finish (--blend, --detail, --strength) inverts nothing
anew.
"""

# Over 300 lines: most are options and what they mean.

import os
from pathlib import Path

import click

from machine.numbers import finite

EXISTING = click.Path(dir_okay=False, path_type=Path)


def which_faces(context, parameter, value):
    """--faces: "all", "largest", an index as a number or several as a tuple."""
    if value in ("all", "largest"):
        return value
    numbers = value.split(",")
    if not all(number.isdecimal() and len(number) <= 6 for number in numbers):
        raise click.BadParameter("write largest, all, or the index of a face (0 is the largest), or several: 0,2")
    return int(value) if len(numbers) == 1 else tuple(sorted({int(number) for number in numbers}))


def face_settings(context, parameter, values):
    """--face: {index: {setting: value}}, or None."""
    kinds = {p.name: p.type for p in context.command.params if p.name in ("blend", "detail", "strength")}
    settings = {}
    for index, name, value in values:
        if name not in kinds:
            raise click.BadParameter(f"{name} is none of {', '.join(sorted(kinds))}")
        value = kinds[name].convert(value, parameter, context)
        settings.setdefault(index, {})[name] = value if name == "blend" else finite(context, parameter, value)
    return settings or None


class InGroups(click.Command):
    """A command whose options are listed in the order of the method."""

    groups = {
        "Find": ("faces", "landmarks", "quad", "sequence", "loop"),
        "Invert": ("preset", "steps", "init", "compiled"),
        "Finish": ("blend", "detail", "strength", "face", "portrait"),
        "Texture": ("mesh", "texture", "camera", "rounds"),
    }

    def format_options(self, context, formatter):
        grouped = {name for names in self.groups.values() for name in names}
        rest = [parameter.name for parameter in self.get_params(context) if parameter.name not in grouped]
        for title, names in ({"Options": rest} | self.groups).items():
            parameters = [p for p in self.get_params(context) if p.name in names and isinstance(p, click.Option)]
            with formatter.section(title):
                formatter.write_dl([record for p in parameters if (record := p.get_help_record(context))])


@click.command(cls=InGroups, help=__doc__, context_settings={"max_content_width": 110})
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Output folder.")
@click.option(
    "--weights",
    "folder",
    type=click.Path(file_okay=False),
    help="Folder with g_real, g_rendering, perceptual and parser: our own files or the public ones, as "
    "scripts/download_weights.py leaves them.  [default: the embedded demo bundle]",
)
@click.option(
    "--g-rendering",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A snapshot of train.py, or its run folder, in place of the folder's g_rendering.",
)
@click.option(
    "--faces",
    default="all",
    show_default=True,
    metavar="largest|all|INDEX,...",
    callback=which_faces,
    help="Which faces of a picture; 0 is the largest.",
)
@click.option(
    "--landmarks",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON: the 68 landmarks of a face, of a list of faces, or {picture's file name: these}; "
    "replaces the detector.",
)
@click.option(
    "--quad",
    type=float,
    nargs=8,
    metavar="X Y ...",
    help="The square around the one face: its top-left, bottom-left, bottom-right and top-right corner in pixels; "
    "replaces the detector.",
)
@click.option(
    "--sequence",
    is_flag=True,
    help="The pictures, in the order of the numbers in their names, are frames of one turntable or video: faces are "
    "followed, steadied, inverted from the frame before. So it is done with a video, given as the one INPUT.",
)
@click.option("--loop", is_flag=True, help="A closed sequence, such as a turntable: its first frame follows the last.")
@click.option(
    "--preset",
    default="fast",
    type=click.Choice(["paper", "fast", "best"]),
    show_default=True,
    help="paper: 500 steps of Eq. 4. fast: 15, and 33 of pivotal tuning. best: 120, and 300 finer.",
)
@click.option("--steps", type=click.IntRange(1, 1_000_000), help="So many steps of Eq. 4 instead of the preset's.")
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="w_plus.npz to start from, not the usual w+.",
)
@click.option("--compile", "compiled", is_flag=True, help="torch.compile the networks of the inversion first.")
@click.option(
    "--blend",
    type=click.Choice(["harmonized", "paper", "poisson"]),
    help="paper: Eq. 5 exactly. harmonized: colours and position fitted to the picture, things in front of the face "
    "kept. poisson: gradients only.  [default: the preset's]",
)
@click.option(
    "--detail",
    type=click.FloatRange(0, 1),
    callback=finite,
    help="How much of what the generators do not draw is kept of the picture. 0: the portrait replaces the face, as in "
    "the paper; 1: the face takes on the change of style alone.  [default: the preset's]",
)
@click.option(
    "--strength",
    type=click.FloatRange(0, 1.5),
    callback=finite,
    help="How far the change goes: 0 is the input, more than 1 exaggerates.  [default: the preset's]",
)
@click.option(
    "--face",
    type=(click.IntRange(0), str, str),
    multiple=True,
    metavar="INDEX SETTING VALUE",
    callback=face_settings,
    help="Another blend, detail or strength for one face: --face 1 strength 0.5",
)
@click.option(
    "--portrait",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A realistic portrait made elsewhere (an editor, a retoucher): the face cut out, or the picture edited as a "
    "whole; of a folder, the file with the picture's stem. Nothing is inverted; only the face is taken.",
)
@click.option(
    "--mesh",
    type=EXISTING,
    help="Head mesh with UVs of the avatar in the one picture: refine its texture with the result.",
)
@click.option("--texture", type=EXISTING, help="The mesh's present texture.  [default: its own]")
@click.option("--camera", type=EXISTING, help="JSON; of the picture and --mesh.  [default: solved from landmarks]")
@click.option(
    "--rounds", default=0, show_default=True, type=click.IntRange(0, 1_000_000), help="Of the texture's optimisation."
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(0),
    help="Threads that read and align the next pictures meanwhile.",
)
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(
    inputs,
    out,
    folder,
    g_rendering,
    faces,
    landmarks,
    quad,
    sequence,
    loop,
    preset,
    steps,
    init,
    compiled,
    blend,
    detail,
    strength,
    face,
    portrait,
    mesh,
    texture,
    camera,
    rounds,
    workers,
    device,
):
    from jobs.folder import check_writable
    from jobs.inputs import find_pictures, given_faces, natural_order
    from jobs.portraits import partners
    from jobs.video import extracted, the_video

    try:
        if mesh is None and (texture or camera or rounds):
            raise click.ClickException("--texture, --camera and --rounds belong together with --mesh")
        video = the_video(inputs)
        sequence = sequence or loop or video is not None
        if sequence and int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise click.ClickException("--sequence goes from frame to frame; start it without torchrun")
        clip = None
        if video is None:
            pictures = find_pictures(inputs, out)
        else:
            check_writable(out)
            clip = extracted(video, out)
            pictures = clip.pictures
        if mesh is not None and len(pictures) != 1:
            raise click.ClickException(f"--mesh belongs to one picture, but there are {len(pictures)}")
        if mesh is not None:
            from jobs.texture_case import check_mesh

            check_mesh(mesh, texture, camera)
        pictures = natural_order(pictures) if sequence else pictures
        given = given_faces(landmarks, quad, pictures)
        if init is not None:
            check_there(init)
        if portrait is not None and sequence:
            raise click.ClickException("--portrait belongs to single pictures, not to a sequence; leave one out")
        if portrait is not None and (init or steps or compiled):
            raise click.ClickException("with --portrait nothing is inverted; leave out --init, --steps and --compile")
        portraits = None if portrait is None else partners(portrait, pictures)

        from dataclasses import replace

        from jobs.folder import Options, run
        from machine import processes
        from machine.device import pick_device
        from pipeline.presets import chosen

        check_writable(out)
        device = str(processes.start(pick_device(device)))
        bundle = networks(folder, g_rendering, device, compiled)
        chosen_preset = chosen(preset, steps)
        given_finish = {"blend": blend, "detail": detail, "strength": strength, "per_face": face}
        given_finish = {name: value for name, value in given_finish.items() if value is not None}
        chosen_preset = replace(chosen_preset, finish=replace(chosen_preset.finish, **given_finish))
        options = Options(
            preset=chosen_preset,
            name=preset if steps is None else None,
            faces=faces,
            given=given,
            init=init,
            sequence=sequence,
            loop=loop,
            clip=clip,
            portraits=portraits,
        )
        report = run(pictures, out, bundle, options, workers=workers)
        first = processes.rank() == 0
        processes.stop()
        if first and report.exit_code < 2:
            done = len(pictures) - report.failed
            click.echo(f"{done} of {len(pictures)} pictures done; look at {out / 'results.html'}")
        if not first:
            return  # an exit code of its own would make torchrun end the others
        if report.failed:
            raise SystemExit(report.exit_code)
        if mesh is not None:
            from jobs.texture import refine_with_composite
            from texture import TextureSchedule

            head = {"mesh": mesh, "texture": texture, "camera": camera}
            composite = out / pictures[0][1] / report.pictures[0]["composite"]
            refine_with_composite(out / "texture", composite, head, bundle, TextureSchedule(rounds))
    except click.ClickException as error:
        error.exit_code = 2
        raise


def check_there(init):
    """Raise ClickException, naming the file, unless --init is one: before networks are loaded for it."""
    from weights import WeightsError, check_regular

    try:
        check_regular(init, "give the w_plus.npz of an earlier run")
    except WeightsError as error:
        raise click.ClickException(f"--init: {error}") from error


def networks(folder, g_rendering, device, compiled):
    """The Bundle of a run, its networks compiled if asked for; says so where the embedded one is used. Raises
    ClickException, naming the file."""
    import weights
    from inversion.compiled import compile_networks
    from machine import processes
    from pipeline import load_bundle

    try:
        bundle = load_bundle(folder, device, g_rendering)
    except weights.WeightsError as error:
        raise click.ClickException(str(error)) from error
    first = processes.rank() == 0
    if folder is None and first:
        click.echo(f"using the embedded demo weights ({bundle.size}x{bundle.size}); real ones: see README, --weights")
    if compiled:
        problem = compile_networks(bundle.g_rendering, bundle.perceptual)
        if problem and first:
            click.echo(problem)
    return bundle


if __name__ == "__main__":
    main()
