"""Which pictures of a source are wanted: by patterns, and without the maps that renderers leave beside their pictures.

Public sets of renders hold depth, normals, masks and the like beside every picture: SynthHuman rgb_0000001.png with
alpha_0000001.png, FaceSynthetics 000001.png with 000001_seg.png, SFHQ images/a.jpg with segmentations/a.png. A map that
shows a head would be taken for a portrait. By default a picture is left out as a map when its name says so and the
picture that it belongs to is there: alone, `mask.png` is a portrait of somebody with a mask.
"""

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

MAPS = set(
    "alpha matte mattes mask masks seg segs segm segmentation segmentations semantic parsing label labels depth depths "
    "disparity normal normals albedo diffuse specular roughness uv uvs position positions flow hair skin material "
    "materials occlusion ao shadow shading irradiance landmarks ldmks keypoints instance instances id ids silhouette "
    "foreground background bg fg edges sketch"
    "".split()
)
FILLERS = {"map", "maps", "pass", "image", "images", "img", "render", "png"}  # depth_map, normal-maps
PICTURES = set("rgb rgba color colour colors image images img beauty render rendered photo".split())


def choose(names, include=(), exclude=()):
    """(the names that are wanted, [(name, why)] of the others), in order.

    names: relative paths with /. include, exclude: patterns as of the shell (* also matches /), in any case, for the
    whole path or the last part of it; what is not included, or excluded, goes. With patterns to include, those decide;
    without, maps beside their pictures go, too.
    """
    kept, left_out = [], []
    maps = set() if include else maps_beside(names)
    for name in names:
        if include and not _matches(name, include):
            left_out.append((name, "not of --include"))
        elif _matches(name, exclude):
            left_out.append((name, "of --exclude"))
        elif name in maps:
            left_out.append((name, "a map beside its picture (--include takes it)"))
        else:
            kept.append(name)
    return kept, left_out


def maps_beside(names):
    """Those of the names that are maps of another one: by a word of the name, or the name of the folder."""
    words = {name: _words(PurePosixPath(name).stem) for name in names}
    plain = {}  # (folder, words without those for a picture): pictures that are no maps by their own name
    stems = {}  # stem without words: the folders it occurs in
    for name in names:
        path = PurePosixPath(name)
        if not _ends(words[name]) & MAPS:
            plain.setdefault((path.parent, _without(words[name], PICTURES)), name)
        if not _map_folder(path):
            stems.setdefault(_without(words[name], PICTURES | MAPS | FILLERS), set()).add(path.parent)
    found = set()
    for name in names:
        path = PurePosixPath(name)
        bare = _without(words[name], MAPS | FILLERS | PICTURES)
        if _ends(words[name]) & MAPS and (path.parent, bare) in plain:
            found.add(name)
        elif _map_folder(path) and stems.get(bare, set()) - {path.parent}:
            found.add(name)
    return found


def _words(stem):
    """A stem's words and numbers in lower case: depthMap_0001 -> ("depth", "map", "0001")."""
    return tuple(word.lower() for word in re.findall(r"[0-9]+|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+", stem))


def _ends(words):
    """The words at the beginning and end of a name, numbers and fillers aside."""
    inner = [word for word in words if not word.isdigit() and word not in FILLERS]
    return set(inner[:1] + inner[-1:])


def _without(words, some):
    return tuple(word for word in words if word not in some)


def _map_folder(path):
    """Does a folder on the way to a picture hold maps by its name: depth/, normal_maps/?"""
    for part in path.parts[:-1]:
        inner = _without(_words(part), FILLERS)
        if inner and set(inner) <= MAPS:
            return True
    return False


def _matches(name, patterns):
    name = name.lower()
    return any(fnmatchcase(name, p.lower()) or fnmatchcase(name.rsplit("/", 1)[-1], p.lower()) for p in patterns)
