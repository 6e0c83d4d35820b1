"""An Inverted on disk, so that another finish of the same inversion costs no inversion.

A picture's folder holds, for each face N, faceN_crop.png, faceN_inversion.png, faceN_portrait.png and faceN_w_plus.npz,
and inversion.json, which is written last and removed first: it says where the faces are and what they were made with.
"""

import json
from pathlib import Path

RECORD = "inversion.json"
PIXELS = {"crop": "crops", "inversion": "reconstructions", "portrait": "portraits"}  # file's kind: field of Inverted


def keep(folder, inverted, fingerprint=None):
    """Write an Inverted into `folder`, in place of whatever was made of another one there.

    fingerprint: of the picture and the settings of the inversion, for `kept` to compare.
    """
    import numpy as np

    from alignment import write_png
    from weights.files import written_atomically

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    forget(folder)
    for i, face in enumerate(inverted.found):
        for kind, field in PIXELS.items():
            write_png(folder / f"face{face.index}_{kind}.png", getattr(inverted, field)[i])
        with written_atomically(folder / f"face{face.index}_w_plus.npz") as unfinished:
            np.savez(unfinished, w_plus=inverted.w_plus[i : i + 1])
    faces = [
        {
            "index": face.index,
            "box": face.box and [float(v) for v in face.box],
            "quad": face.quad.tolist(),
            "landmarks": None if face.landmarks is None else np.asarray(face.landmarks).tolist(),
        }
        for face in inverted.found
    ]
    facts = {"lpips": inverted.lpips, "seconds": inverted.seconds, "tuned": inverted.tuned}
    with written_atomically(folder / RECORD) as unfinished:
        unfinished.write_text(json.dumps({"fingerprint": fingerprint, "faces": faces} | facts))


def kept(folder, picture, fingerprint):
    """The Inverted of a Picture that lies in `folder`, if it was made with this fingerprint and is all there, else
    None."""
    import zipfile

    import numpy as np

    from alignment import Found, PictureError, read_picture

    from .projector import Inverted

    try:
        record = json.loads((folder / RECORD).read_text())
        if fingerprint is None or record["fingerprint"] != fingerprint:
            return None
        found = []
        for face in record["faces"]:
            landmarks = None if face["landmarks"] is None else np.array(face["landmarks"])
            found.append(Found(face["index"], face["box"] and tuple(face["box"]), np.array(face["quad"]), landmarks))
        pixels = {
            field: np.stack([read_picture(folder / f"face{face.index}_{kind}.png").pixels for face in found])
            for kind, field in PIXELS.items()
        }
        latents = [np.load(folder / f"face{face.index}_w_plus.npz", allow_pickle=False)["w_plus"] for face in found]
        return Inverted(
            picture=picture,
            found=found,
            w_plus=np.concatenate(latents),
            lpips=record["lpips"],
            seconds=record["seconds"],
            tuned=record["tuned"],
            **pixels,
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, PictureError, zipfile.BadZipFile):
        return None


def forget(folder):
    """Remove what was made of a picture, what says that it is complete first."""
    for name in ("report.json", RECORD):
        (folder / name).unlink(missing_ok=True)
    for stale in (*folder.glob("face*_*"), *folder.glob("composite.*")):
        stale.unlink(missing_ok=True)
