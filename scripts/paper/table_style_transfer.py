"""The paper's style-transfer table: does a fine-tuned generator draw like the rendered pictures, and the same person?

\b
    python scripts/paper/table_style_transfer.py --out runs/style --rendered ../shared/avatars/rendered \\
        --real ../shared/avatars/real
    torchrun --nproc_per_node=4 scripts/paper/table_style_transfer.py --rendered drfhq.zip --real ffhq.zip \\
        --out runs/style --g-real ffhq.pkl --generator ours=g_rendering.safetensors --pictures 50000 --identities 2000

A row a generator, any that reads the w+ of g_real: ours, official .pkl, rosinality's .pt. All draw the same latents.
FID to both sets, KID, precision and recall to the rendered one (metrics/fid.py), where the Inception weights
are there; else the embedded network's feature distance, which is no FID. Identity similarity of g_real(w) and
generator(w) by CurricularFace where its weights are there; else dlib's distance. `python scripts/download_weights.py
inception curricularface` fetches both.

Of the sets of pictures at most twice as many as are drawn are used, evenly spread. With FID, OUT/rendered.npz and
OUT/real.npz hold their statistics as pytorch-fid reads them; a set may also be given as such a file, and then has no
KID, precision and recall. Features are kept, so a run that was stopped goes on. Writes table.md, table.csv,
results.json and sheet.png (latents in columns, generators in rows).
"""

from pathlib import Path

import click

from compare.arguments import named_paths

RESAMPLES = {"feature distance (embedded)": 200, "FID": 40}  # for the interval; FID's 2048 dimensions take seconds
PUBLISHED_COLUMNS = ("FID to the rendered set", "FID to the real set", "identity similarity (CurricularFace)")
PUBLISHED = {  # Tables 1 (FID, 50k pictures) and 2 (identity, 2k pictures) of the paper; 1 of its first version
    "StyleGAN2-DRFHQ (Ours)": (24.5, 16.3, 0.57),
    "AgileGAN-DRFHQ": (62.5, 83.5, 0.14),
    "StyleGAN-NADA (text-guided, not trained on DRFHQ)": (49.9, 53.8, 0.34),
}


@click.command(help=__doc__)
@click.option("--rendered", required=True, type=click.Path(path_type=Path), help="Folder or zip: the wanted style; "
              "or its statistics, .npz.")  # fmt: skip
@click.option("--real", required=True, type=click.Path(path_type=Path), help="Folder or zip: what g_real learned from; "
              "or its statistics, .npz.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--g-real", type=click.Path(path_type=Path), help="[default: the embedded one]")
@click.option(
    "--generator",
    "generators",
    multiple=True,
    metavar="NAME=FILE",
    callback=named_paths,
    help="A row; may be given several times.  [default: the embedded g_rendering]",
)
@click.option("--pictures", "count", default=512, show_default=True, type=click.IntRange(2), help="Drawn by each.")
@click.option(
    "--identities", default=64, show_default=True, type=click.IntRange(1), help="Of these, compared as faces."
)
@click.option("--seed", default=3, show_default=True)
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(rendered, real, out, g_real, generators, count, identities, seed, device):
    import weights
    from compare.generators import load_rows
    from machine import processes
    from machine.device import pick_device
    from training.dataset import DatasetError

    device = str(processes.start(pick_device(device)))
    try:
        rows = load_rows(g_real, generators, device)
        sets = {"rendered": rendered, "real": real}
        table(out, rows, sets, count, min(identities, count), seed, device)
    except (DatasetError, weights.WeightsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    processes.stop()


def table(out, rows, sets, count, identities, seed, device):
    """Measure every row, in the processes torchrun started; the first writes."""
    import torch

    from alignment import write_png
    from alignment.sheet import contact_sheet
    from alignment.tensors import to_pixels
    from compare.generators import SHOWN, drawn, latents
    from compare.tables import write_table
    from machine import processes
    from metrics import fid
    from metrics.features import features_of_generator, set_measure
    from metrics.likeness import face_measure

    g_real = rows["g_real"]
    style, face = set_measure(device), face_measure(device)
    references, used = {}, {}
    for name, source in sets.items():
        references[name], pictures = reference(style, source, 2 * count, g_real.generator.img_resolution, f"{name} set")
        used[name] = {"source": str(source), "pictures": pictures}

    w_plus = latents(g_real, count, seed, device)
    drawings = {name: drawn(row, w_plus, device) for name, row in rows.items()}
    styles, faces = {}, {}
    for name, row in rows.items():
        key = {"generator": row.sha256, "latents of": g_real.sha256, "seed": seed}
        rest = {"key": key, "processes": processes, "label": name}
        styles[name] = features_of_generator(style, drawings[name], count, **rest)
        faces[name] = features_of_generator(face, drawings[name], identities, **rest)
    if processes.rank() > 0:
        return
    for name, features in references.items():
        if style.name == "FID" and not isinstance(features, fid.Statistics):
            fid.write_statistics(out / f"{name}.npz", fid.statistics(features))

    cells = {name: cells_of(style, face, styles[name], references, faces["g_real"], faces[name]) for name in rows}
    columns = list(dict.fromkeys([*cells["g_real"], *PUBLISHED_COLUMNS]))
    published = {name: dict(zip(PUBLISHED_COLUMNS, values, strict=True)) for name, values in PUBLISHED.items()}
    size = g_real.generator.img_resolution
    caption = (
        f"Style transfer at {size}x{size}: {count} pictures a generator (faces: {identities}) against "
        f"{used['rendered']['pictures']} rendered and {used['real']['pictures']} real ones; 95 % bootstrap intervals. "
        "Distances of sets compare only at equal counts; the paper's FID is of 50,000 pictures at 1024x1024."
    )
    facts = {
        "count": count,
        "identities": identities,
        "seed": seed,
        "sets": used,
        "weights": {name: {"file": str(row.file), "sha256": row.sha256} for name, row in rows.items()},
        "networks": {measure.name: measure.sha256 for measure in (style, face)},
        "versions": {"torch": torch.__version__},
    }
    click.echo(write_table(out, caption, columns, cells, facts, published))
    sheet = [[(name, picture) for picture in to_pixels(generate(0, SHOWN))] for name, generate in drawings.items()]
    write_png(out / "sheet.png", contact_sheet(sheet, tile=160))
    click.echo(f"look at {out / 'sheet.png'}")


def reference(style, source, most, size, label):
    """(features [N, C] of at most so many pictures of a set, N), or (Statistics, "statistics of") of an .npz. Raises
    ValueError, DatasetError or WeightsError, naming the file."""
    from alignment.evenly import evenly
    from machine import processes
    from metrics import fid
    from metrics.features import features_of_files
    from training.dataset import Pictures, training_names

    if source.suffix.lower() == ".npz":
        if style.name != "FID":
            remedy = "python scripts/download_weights.py inception, or give the pictures"
            raise ValueError(f"{source}: statistics of Inception features, whose weights are not here; {remedy}")
        return fid.read_statistics(source), "the statistics of"
    paths = training_names(source)
    pictures = Pictures([paths[i] for i in evenly(range(len(paths)), most)], size)
    return features_of_files(style, pictures, processes=processes, label=label), len(pictures)


def cells_of(style, face, drawn_features, references, real_faces, faces):
    """{heading: Number or value} of one generator."""
    from compare.intervals import number, set_number
    from metrics import fid
    from metrics.feature_distance import resampled_distances

    cells = {}
    for name, reference in references.items():
        distances = resampled_distances(drawn_features, reference, style.compare, RESAMPLES[style.name])
        cells[f"{style.name} to the {name} set"] = set_number(distances, len(drawn_features))
    rendered = references["rendered"]
    if style.name == "FID" and not isinstance(rendered, fid.Statistics):
        precision, recall = fid.precision_recall(drawn_features, rendered)
        cells |= {"KID x 1000": 1000 * fid.kid(drawn_features, rendered)[0], "precision": precision, "recall": recall}
    return cells | {face.name: number(face.compare(real_faces, faces).tolist())}


if __name__ == "__main__":
    main()
