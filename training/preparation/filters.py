"""Which faces stay. All of it works on measurements, so that limits can change without looking at a picture again."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Limits:
    """A face within all of them stays."""

    min_side: float  # side of the FFHQ square, in pixels of the picture
    min_sharpness: float  # measure.sharpness
    max_yaw: float  # degrees to either side
    max_faces: int  # in one picture
    max_difference: int  # bits of 256: two faces that differ by no more show the same picture; -1 keeps them all


@dataclass(frozen=True)
class Rejection:
    """Why one face, or a whole picture (face None), does not stay."""

    name: str  # the item
    face: str | None  # the face's id
    reason: str
    number: float | None = None
    limit: float | None = None
    detail: str = ""


def refusal(face, faces, limits):
    """(reason, number, limit) why a face record goes, or None. faces: how many the picture shows.

    What has not been measured (None) is no reason.
    """
    if faces > limits.max_faces:
        return "several faces", faces, limits.max_faces
    if face["side"] < limits.min_side:
        return "small", face["side"], limits.min_side
    if abs(face["yaw"]) > limits.max_yaw:
        return "turned", face["yaw"], limits.max_yaw
    if face["sharpness"] is not None and face["sharpness"] < limits.min_sharpness:
        return "blurred", face["sharpness"], limits.min_sharpness
    return None


def sort_out(records, limits, reviewed=()):
    """Divide the faces of all records. Returns (kept [(record, face)] in order, [Rejection] in order).

    reviewed: ids that a reviewer threw out. Duplicates are found first, so that throwing one out brings none back.
    """
    passed, rejections = [], []
    for record in records:
        if record["error"]:
            rejections.append(Rejection(record["name"], None, "unreadable", detail=record["error"]))
        elif not record["faces"]:
            rejections.append(Rejection(record["name"], None, "no face", 0, 1))
        for face in record["faces"]:
            reason = refusal(face, len(record["faces"]), limits)
            if reason:
                rejections.append(Rejection(record["name"], face["id"], *reason))
            else:
                passed.append((record, face))

    kept = []
    twins = duplicates([f["hash"] for _, f in passed], [f["side"] for _, f in passed], limits.max_difference)
    for (record, face), twin in zip(passed, twins, strict=True):
        if twin is not None:
            of, bits = passed[twin[0]][0]["name"], twin[1]
            rejections.append(
                Rejection(record["name"], face["id"], "duplicate", bits, limits.max_difference, f"of {of}")
            )
        elif face["id"] in reviewed:
            rejections.append(Rejection(record["name"], face["id"], "review"))
        else:
            kept.append((record, face))
    return kept, rejections


def duplicates(hashes, sides, max_difference):
    """For each hash None, or (index of the one it repeats, differing bits).

    hashes: hexadecimal, all of one length. Of two that differ by at most max_difference bits the one with the larger
    side stays, the earlier one where they are equal. Compares all pairs: half a minute for 70 000.
    """
    result = [None] * len(hashes)
    if not hashes or max_difference < 0:
        return result
    words = np.array([np.frombuffer(bytes.fromhex(h), np.uint64) for h in hashes])  # [N, 4]
    order = sorted(range(len(hashes)), key=lambda i: (-sides[i], i))
    kept = np.empty_like(words)  # [N, 4], the first `count` rows are those that stay
    origin = np.empty(len(hashes), np.int64)
    count = 0
    for i in order:
        bits = np.bitwise_count(kept[:count] ^ words[i]).sum(1, dtype=np.int64)  # [count]
        nearest = int(bits.argmin()) if count else 0
        if count and bits[nearest] <= max_difference:
            result[i] = (int(origin[nearest]), int(bits[nearest]))
        else:
            kept[count], origin[count] = words[i], i
            count += 1
    return result
