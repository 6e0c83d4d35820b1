"""Read a head mesh with its UVs and its own textures: OBJ, PLY, glTF.

A mesh may have several textures, one a material or one a tile (UDIM); a picture of the head speaks of one of them. Such
triangles are a `Part`; those of other parts hide what lies behind them, and that is all. Files are data: nothing is
unpacked, other files are taken from the mesh's own folder alone, and sizes are bounded.
"""

import io
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alignment import PictureError, read_picture
from alignment.formats import read_file
from alignment.originals import encoded
from alignment.text import one_line
from weights.files import written_atomically

from .gltf import MOST, Document, read_document, with_picture
from .gltf_scene import read_gltf
from .mesh import Mesh, MeshError
from .obj import Loose, beside, read_obj

MOST_TEXT = 2**28  # bytes of an OBJ file
TILE = re.compile(r"(?<!\d)1\d\d\d(?!\d)")  # 1001 + column + 10 row in a file's name
ACROSS = 1e-3  # how far a triangle may reach over a tile's border
SEEN = 0.01  # of a texture's pixels in the picture: a tile that shows more is seen


@dataclass(frozen=True, eq=False)
class Part:
    """Triangles that share one texture."""

    name: str  # of the material, and the tile
    faces: np.ndarray  # bool [F]
    map: object  # its texture: a path, (number, bytes) of a glTF picture, or None
    file: str  # what the texture is called there, "" = no name
    material: int  # number
    tile: tuple | None  # (column, row), where there are several


@dataclass(frozen=True)
class Model:
    """A file's triangles and their textures."""

    path: Path
    mesh: Mesh
    parts: tuple
    document: Document | None = None  # of a glTF file

    def mesh_of(self, part):
        """The Mesh on which only the part is painted."""
        uv = self.mesh.uv
        if part.tile is not None:
            uv = uv.copy()
            uv[np.unique(self.mesh.faces[part.faces])] -= part.tile
        return replace(self.mesh, uv=uv, painted=None if part.faces.all() else part.faces)

    def texture_of(self, part):
        """The part's own texture, an alignment.Picture; None where it has none. Raises PictureError, MeshError."""
        if part.map is None:
            return None
        if isinstance(part.map, Path):
            return read_picture(_of_tile(part.map, part.tile))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "texture"
            file.write_bytes(part.map[1])
            try:
                return read_picture(file)
            except PictureError as error:
                message = str(error).removeprefix(f"{file}: ")
                raise MeshError(f"{self.path}: its texture {part.file}: {message}") from error

    def choose(self, shares, texture=None):
        """The Part whose texture is refined: of those that `texture` (a path) names, all if none, the one that the
        picture shows most. shares: [parts], pixels of the picture that show each."""
        order = range(len(self.parts))
        if texture is None:
            order = [i for i in order if self.parts[i].map is not None] or order
        else:
            order = [i for i in order if _same_name(self.parts[i], texture)] or order
        best = self.parts[max(order, key=lambda i: shares[i])]
        number = None if texture is None else TILE.search(Path(texture).stem)
        if best.tile is None or texture is None:
            return best
        tiles = [i for i in order if self.parts[i].material == best.material]  # in order of their numbers
        if number:
            return next((self.parts[i] for i in tiles if _number(self.parts[i].tile) == int(number[0])), best)
        return next(self.parts[i] for i in tiles if shares[i] >= SEEN * sum(shares[j] for j in tiles))

    def write_with(self, path, part, samples):
        """The same mesh with another texture, uint8 or uint16 [H, W, C], on a part, as a .glb; of a glTF file only."""
        image = None if part.map is None else part.map[0]
        data = with_picture(self.document, image, part.material, encoded(samples, ".png", {}, {}))
        with written_atomically(path) as unfinished:
            unfinished.write_bytes(data)


def read_mesh(path):
    """All triangles of a file as one Mesh; see `read_model`."""
    return read_model(path).mesh


def read_model(path):
    """Read an OBJ, PLY, GLB or glTF file as a Model; pieces are joined, polygons are cut into triangles.

    Raises MeshError when the file is missing, damaged, too large or of another kind, or has no usable UVs.
    """
    path, document = Path(path), None
    suffix = path.suffix.lower()
    try:
        data = read_file(path)
    except PictureError as error:
        raise MeshError(str(error)) from error
    if suffix not in (".obj", ".ply", ".glb", ".gltf"):
        raise MeshError(f"{path}: not a mesh of a kind that is read here; export it as OBJ, PLY or glTF")
    try:
        if suffix == ".obj":
            if len(data) > MOST_TEXT:
                raise ValueError(f"over {MOST_TEXT >> 20} MiB; export the head alone")
            loose = read_obj(path, data)
        elif suffix == ".ply":
            loose = _read_ply(path, data)
        else:
            document = read_document(path, data)
            with np.errstate(all="ignore"):  # matrices of any numbers; `_model` looks at what comes out
                loose = read_gltf(document)
    except MemoryError:
        raise MeshError(f"{path}: too large for the memory there is; export the head alone") from None
    except (Exception, RecursionError) as error:  # damaged data has its own set of exceptions for every reader
        if "no faces" in str(error) or "no triangles" in str(error):
            raise MeshError(f"{path}: holds no triangles; export the head's mesh as OBJ, PLY or glTF") from error
        said = one_line(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {one_line(error)}"
        raise MeshError(f"{path}: not a readable mesh ({said}); export it again, as OBJ, PLY or glTF") from error
    return _model(path, loose, document)


def _model(path, loose, document):
    unwrapped = ~np.isnan(loose.uv[loose.faces]).any((1, 2))  # bool [F]
    if not unwrapped.any():
        raise MeshError(f"{path}: has no UVs; unwrap it, or export the textured head")
    mesh = Mesh(loose.vertices, loose.faces, np.where(np.isnan(loose.uv), 0, loose.uv))
    if not (np.isfinite(mesh.vertices).all() and np.isfinite(mesh.uv).all()):
        raise MeshError(f"{path}: holds NaN or infinite coordinates; export it again")
    if max(np.abs(mesh.vertices).max(), np.abs(mesh.uv).max()) > 1e9:
        raise MeshError(f"{path}: holds coordinates over 1e9; export it again")
    parts = []
    for material, faces, shared in _by_map(loose, unwrapped):
        for tile, where in _tiles(mesh, faces) if loose.tiled else [(None, faces)]:
            if np.ptp(mesh.uv[mesh.faces[where]].reshape(-1, 2), axis=0).min() < 1e-6:
                continue
            several = f"tile {_number(tile)}" if tile is not None else ""
            name = ", ".join(word for word in (loose.names[material], several) if word)
            parts.append(Part(name, where, shared, _file(document, shared), material, tile))
    if not parts:
        raise MeshError(f"{path}: all its UVs lie on one line; unwrap it again")
    return Model(path, mesh, tuple(parts), document)


def _by_map(loose, unwrapped):
    """[(a material, bool [F], map)]: triangles by the texture that they show; without one, by material."""
    groups = {}
    for material in np.unique(loose.material):
        shared = loose.maps[material] if loose.maps else None
        key = ("none", material) if shared is None else ("path", shared) if isinstance(shared, Path) else shared[0]
        first, faces, _ = groups.get(key, (int(material), np.zeros(len(loose.faces), bool), shared))
        groups[key] = (first, faces | (loose.material == material) & unwrapped, shared)
    return [group for group in groups.values() if group[1].any()]


def _tiles(mesh, faces):
    """[(tile, bool [F])] of triangles, bool [F]; one entry, its tile None, where UVs do not count tiles: there are
    negative ones, or a triangle lies across a border, so that the texture must repeat."""
    corners = mesh.uv[mesh.faces[faces]]  # [K, 3, 2]
    tile = np.floor(corners.mean(1)).astype(np.int64)  # [K, 2]
    across = (np.abs(corners - tile[:, None] - 0.5) > 0.5 + ACROSS).any()
    found = np.unique(tile, axis=0)
    if across or tile.min() < 0 or tile[:, 0].max() > 9 or len(found) > 100:
        return [(None, faces)]
    if len(found) == 1 and not found.any():
        return [(None, faces)]
    parts = []
    for column, row in sorted(map(tuple, found.tolist()), key=_number):
        where = faces.copy()
        where[np.flatnonzero(faces)] = (tile == (column, row)).all(1)
        parts.append(((column, row), where))
    return parts


def _number(tile):
    return 1001 + tile[0] + 10 * tile[1]


def _of_tile(path, tile):
    """The file of a tile, where the name has its number or stands for all."""
    if tile is None:
        return Path(str(path).replace("<UDIM>", "1001"))
    name = path.name.replace("<UDIM>", str(_number(tile)))
    other = path.with_name(TILE.sub(str(_number(tile)), name))
    return other if other.is_file() else path.with_name(name)


def _same_name(part, texture):
    """Is a file called like the part's texture, its tile and suffix aside?"""

    def bare(name):
        return TILE.sub("<UDIM>", Path(name).stem).lower()

    return bool(part.file) and bare(part.file) == bare(texture)


def _file(document, shared):
    if shared is None or isinstance(shared, Path):
        return "" if shared is None else shared.name
    entry = document.json["images"][shared[0]]
    uri = entry.get("uri", "data:")
    return str(entry.get("name", "")) if uri.startswith("data:") else Path(uri).name


def _read_ply(path, data):
    """A Loose by trimesh's reader, which gets the bytes and no way to other files."""
    import trimesh

    header = data[: data.find(b"end_header")][:65536].decode("latin-1")
    counts = [int(count) for count in re.findall(r"(?m)^element \w+ (\d+)\s*$", header)]
    if sum(counts) > min(MOST, len(data)):  # not even a byte for each
        raise ValueError("cut short, or too large")
    scene = trimesh.load_scene(io.BytesIO(data), file_type="ply", process=False)
    (part,) = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh) and len(part.faces)] or [None]
    if part is None:
        raise ValueError("no triangles")
    uv = getattr(part.visual, "uv", None)
    uv = np.full([len(part.vertices), 2], np.nan) if uv is None else np.asarray(uv, np.float64)[:, :2]
    named = re.search(r"(?m)^comment TextureFile (.+?)\s*$", header)
    shared = beside(path, named[1], there=False) if named else None
    faces = np.asarray(part.faces, np.int64)
    return Loose(np.asarray(part.vertices, np.float64), faces, uv, np.zeros(len(faces), np.int64), [""], [shared])
