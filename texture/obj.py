"""Wavefront OBJ and its MTL: positions, UVs, polygons, and which material has which map."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Loose:
    """What a file holds before it is looked at closely: triangles with UVs (NaN = none) and material numbers."""

    vertices: np.ndarray  # float64 [V, 3]
    faces: np.ndarray  # int64 [F, 3]
    uv: np.ndarray  # float64 [V, 2]
    material: np.ndarray  # int64 [F]
    names: list  # of the materials
    maps: list = field(default_factory=list)  # of the materials' colours: None, a path, or bytes
    tiled: bool = True  # do whole numbers in the UVs count tiles (UDIM), where no triangle lies across their borders?


def read_obj(path, data):
    """A Loose of an OBJ file's bytes; polygons are cut into fans. Raises ValueError for damaged lines."""
    positions, uvs, corners, material = [], [], [], []
    names, current, libraries = {}, None, []
    for line in data.decode("utf-8", "surrogateescape").replace("\\\n", " ").replace("\\\r\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "v":
            positions.append([float(x) for x in rest.split()[:3]])
        elif word == "vt":
            uvs.append([float(x) for x in (rest.split() + ["0"])[:2]])
        elif word == "f":
            polygon = [_corner(c, len(positions), len(uvs)) for c in rest.partition("#")[0].split()]
            number = names.setdefault(current, len(names))
            for i in range(1, len(polygon) - 1):
                corners += [polygon[0], polygon[i], polygon[i + 1]]
                material.append(number)
        elif word == "usemtl":
            current = rest.strip()
        elif word == "mtllib":
            libraries.append(rest.strip())
    if not material:
        raise ValueError("no faces")
    positions = np.array(positions, np.float64).reshape(-1, 3)
    uvs = np.array(uvs + [[np.nan, np.nan]], np.float64).reshape(-1, 2)  # -1, the last: none
    pairs, faces = np.unique(np.array(corners, np.int64), axis=0, return_inverse=True)
    if pairs[:, 0].min() < 0 or pairs[:, 0].max() >= len(positions) or pairs[:, 1].max() >= len(uvs) - 1:
        raise ValueError("a face names a vertex that is not there")
    maps = _maps(Path(path), libraries)
    return Loose(
        positions[pairs[:, 0]],
        faces.reshape(-1, 3),
        uvs[pairs[:, 1]],
        np.array(material),
        ["" if name is None else name for name in names],
        [maps.get(name) for name in names],
    )


def _corner(text, positions, uvs):
    """'7/3/1', '7//1' or '7' -> (vertex, uv) from 0, uv -1 where there is none. Negative numbers count from the end."""
    numbers = [int(part) if part else 0 for part in text.split("/")[:2]] + [0]
    v, t = numbers[0], numbers[1]
    v = v - 1 if v > 0 else positions + v if v < 0 else -1
    t = t - 1 if t > 0 else uvs + t if t < 0 else -1
    return v, t


def _maps(path, libraries):
    """{material: path of its map_Kd}, of the MTL files that are there beside the OBJ, and readable."""
    maps = {}
    for library in libraries:
        for name in (library, *library.split()):  # several files, or one whose name has spaces
            file = beside(path, name)
            if file is None or file.stat().st_size > 2**24:
                continue
            current = None
            for line in file.read_text("utf-8", "surrogateescape").splitlines():
                word, _, rest = line.strip().partition(" ")
                if word == "newmtl":
                    current = rest.strip()
                elif word.lower() == "map_kd" and rest.strip():
                    maps[current] = beside(path, _without_options(rest.strip()), there=False)
    return maps


def _without_options(text):
    """'-clamp on skin one.png' -> 'skin one.png'. Raises ValueError where the options scale or move the map."""
    words = text.split()
    while len(words) > 1 and words[0].startswith("-"):
        option = words.pop(0)
        if option not in ("-s", "-o", "-t", "-mm"):
            words.pop(0)
            continue
        values = []
        while len(words) > 1 and re.fullmatch(r"[-+.\deE]+", words[0]):
            values.append(float(words.pop(0)))
        if option in ("-s", "-o") and any(value != (option == "-s") for value in values):
            raise ValueError(f"its .mtl scales or moves a map ({option}); apply that to the UVs")
    return " ".join(words)


def beside(path, name, there=True):
    """The regular file `name` (of another system, perhaps) in the folder of `path` or below; else the same file name in
    the folder itself; None where there is none (`there`)."""
    folder, name = Path(path).parent, name.strip('"').replace("\\", "/")
    if "\0" in name or not Path(name).name:
        return None
    inside = not (Path(name).is_absolute() or ".." in Path(name).parts or re.match("[A-Za-z]:", name))
    for file in ([folder / name] if inside else []) + [folder / Path(name).name]:
        try:
            if file.is_file():
                return file
        except OSError:  # a name that is too long
            return None
    return None if there else folder / Path(name).name
