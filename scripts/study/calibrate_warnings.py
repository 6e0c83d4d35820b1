"""Measure from where on project.py should warn: what 95 % of well-made results stay below.

\b
    python scripts/study/calibrate_warnings.py --data ../shared/avatars --out weights/demo/calibration.json

Every 8th identity of `matched/`, or --count of them, goes through the pipeline with the weights' own generators, as a
picture that is its own crop. The limits are 95th percentiles of what the report says, of the `lpips` of the inversion
and of dlib's `identity` distance between crop and finished result, for each kind of result:

\b
plain      preset paper: Eq. 4 alone, redrawn, Eq. 5
tuned      the default preset's inversion, redrawn (detail 0)
restored   pictures that keep their detail: the distance between the rendered picture and its true photo look, since so
           far a change of look alone takes the same person; no LPIPS, for nothing is redrawn
`yaw`: the generators know what they were trained on, so its limit is the 99th percentile of the training pictures'
(manifest.jsonl). Tuning reaches an LPIPS on these pictures that pictures of another origin never have, well made or
not, so with it, too, the LPIPS limit is that of Eq. 4 alone.
"""

import json
from dataclasses import replace
from pathlib import Path

import click


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--weights", "folder", type=click.Path(exists=True, file_okay=False), help="[default: embedded bundle]")
@click.option("--g-rendering", type=click.Path(path_type=Path), metavar="FILE", help="As for project.py.")
@click.option("--steps", type=click.IntRange(1), help="No more than these, for a trial.  [default: the presets' own]")
@click.option("--count", type=click.IntRange(2), help="Identities, evenly spread.  [default: every 8th]")
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(data, out, folder, g_rendering, steps, count, device):
    import numpy as np
    from tqdm import tqdm

    import weights
    from alignment.evenly import evenly
    from compare.paired.data import read_results, stems
    from machine.device import pick_device
    from metrics.identity import embedding, identity_distance
    from pipeline import load_bundle
    from pipeline.presets import DEFAULT, PRESETS
    from weights.files import written_atomically

    try:
        bundle = load_bundle(folder, pick_device(device), g_rendering)
    except weights.WeightsError as error:
        raise click.ClickException(str(error)) from error
    held_out = stems(data / "matched")
    names = held_out[::8] if count is None else evenly(held_out, count)
    presets = [PRESETS[name] for name in ("paper", DEFAULT)]
    if steps is not None:
        presets = [replace(preset, schedule=preset.schedule.at_most(steps)) for preset in presets]
    found = {"plain": [], "tuned": []}
    with tqdm(total=len(names) * sum(p.schedule.length for p in presets), unit="step", mininterval=1) as bar:
        for pixels in read_results(data / "rendered", names, bundle.size):
            for kind, measured in measures(pixels, bundle, *presets, on_step=lambda *_: bar.update()).items():
                found[kind].append(measured)

    def limit(kind, name, digits):
        values = [getattr(measured, name) for measured in found[kind]]
        return round(float(np.nanquantile(values, 0.95)), digits)

    limits = {kind: {"lpips": limit("plain", "lpips", 4), "identity": limit(kind, "identity", 3)} for kind in found}
    looks = zip(*(read_results(data / look, names, bundle.size) for look in ("rendered", "matched")), strict=True)
    apart = [identity_distance(embedding(rendered), embedding(truth)) for rendered, truth in looks]
    limits["restored"] = {"identity": round(float(np.nanquantile(apart, 0.95)), 3)}
    people = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    yaws = [abs(person["yaw"]) for person in people if person["id"] not in held_out]
    limits["yaw"] = round(float(np.quantile(yaws, 0.99)), 1)
    lengths = " and ".join(str(preset.schedule.length) for preset in presets)
    how = (
        f"95th percentile over {len(names)} evaluation identities of the avatars, {lengths} steps of the presets paper "
        f"and {DEFAULT}, LPIPS of the plain ones for both; restored: between rendered and true photo look; yaw: 99th "
        f"percentile of {len(yaws)} training pictures"
    )
    used = {name: weights.sha256(path) for name, path in bundle.files.items()}
    with written_atomically(out) as unfinished:
        unfinished.write_text(json.dumps({"limits": limits, "how": how, "weights": used}, indent=1) + "\n")
    click.echo(f"{limits}\nwrote {out}")


def measures(pixels, bundle, paper, default, on_step):
    """{kind: pipeline.Measured} of a crop, uint8 [R, R, 3], that is a picture of its own."""
    import numpy as np

    from alignment import Found, as_picture
    from pipeline import finish_picture, invert_faces

    side = len(pixels)
    whole = np.array([[0, 0], [0, side], [side, side], [side, 0]]) - 0.5  # the square of all pixels
    picture, faces = as_picture(pixels), [Found(0, None, whole)]
    plain, tuned = (
        invert_faces(picture, faces, bundle, preset.schedule, on_step=on_step) for preset in (paper, default)
    )
    finished = {
        "plain": finish_picture(plain, bundle, paper.finish),
        "tuned": finish_picture(tuned, bundle, replace(default.finish, detail=0.0)),
    }
    return {kind: result.faces[0].measured for kind, result in finished.items()}


if __name__ == "__main__":
    main()
