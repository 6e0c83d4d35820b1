"""Our z-buffer, and a renderer that is linear in the texture.

Which triangle a pixel sees, and where in it, depends on mesh and camera only, so it is computed once a camera
(`draw`, `view_of`); a picture is then one lookup in the texture's mipmaps (`render`), and its gradient the transpose of
that lookup. Mipmaps: L. Williams, "Pyramidal Parametrics", 1983; the level is chosen by the area of a pixel in texels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, grid_sample, pad

PAIRS = 4_000_000  # candidate (triangle, pixel) pairs looked at together: bounds the memory
EDGE = 1e-9  # a pixel centre on an edge belongs to both triangles; the nearer, then the earlier, keeps it


@dataclass(frozen=True)
class Fragments:
    """What every pixel of an H x W grid sees."""

    face: np.ndarray  # int64 [H, W], -1 where nothing is
    weights: np.ndarray  # float64 [H, W, 3], perspective-correct barycentric coordinates
    nearness: np.ndarray  # float64 [H, W], 1 / z; 0 where nothing is

    @property
    def covered(self):
        return self.face >= 0

    def interpolate(self, mesh, values):
        """Values at the vertices, [V, C], to the grid, float64 [H, W, C]; 0 where nothing is."""
        result = (values[mesh.faces[self.face]] * self.weights[..., None]).sum(2)  # [H, W, 3, C] -> [H, W, C]
        result[~self.covered] = 0
        return result


@dataclass(frozen=True)
class View:
    """Where P grid points look into a picture or texture, and how much of it each sees."""

    inside: np.ndarray  # bool [H, W], the P points of the grid that see something, in row order
    position: torch.Tensor  # [P, 2] in [0, 1], x to the right and y down
    footprint: torch.Tensor  # [P], side of the area a point sees, of the whole's side
    repeats: bool  # across its borders the texture goes on at its other side

    def to(self, device):
        return View(self.inside, self.position.to(device), self.footprint.to(device), self.repeats)

    def double(self):
        return View(self.inside, self.position.double(), self.footprint.double(), self.repeats)


def draw(mesh, camera, cull=True):
    """Fragments of the mesh in the camera's picture. cull: leave out triangles that look away.

    Triangles that reach behind the camera are left out.
    """
    pixels, z = camera.project(mesh.vertices)  # [V, 2], [V]
    corners = pixels[mesh.faces]  # [F, 3, 2]
    keep = (z[mesh.faces] > 1e-9).all(1)
    if cull:
        keep &= doubled_area(corners) < 0  # y points down, so what faces us runs clockwise in (x, y)
    kept = np.flatnonzero(keep)
    return rasterize(corners[kept], 1 / z[mesh.faces[kept]], kept, camera.height, camera.width)


def draw_texels(mesh, height, width):
    """Fragments of the painted triangles laid out flat in the texture: texel -> triangle. Flipped islands count, copies
    repeat."""
    corners = mesh.uv[mesh.faces]  # [F, 3, 2]
    corners = corners - np.floor(corners.min(1, keepdims=True))  # into [0, 1), or reaching over its far border
    copies, faces = [], []
    for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)):
        kept = np.flatnonzero(mesh.shows & (corners[..., 0].max(1) > du) & (corners[..., 1].max(1) > dv))
        copies.append(corners[kept] - (du, dv))
        faces.append(kept)
    corners, faces = np.concatenate(copies), np.concatenate(faces)
    corners = np.stack([corners[..., 0] * width, (1 - corners[..., 1]) * height], axis=2)
    return rasterize(corners, np.ones(corners.shape[:2]), faces, height, width)


def rasterize(corners, nearness, faces, height, width):
    """The z-buffer. corners: [F, 3, 2] in pixels. nearness: [F, 3], 1 / z. faces: [F], the numbers to write down.

    Triangles without area cover nothing. Returns Fragments.
    """
    face = np.full(height * width, -1)
    weights, nearest = np.zeros([height * width, 3]), np.zeros(height * width)
    area = doubled_area(corners)
    limit = np.array([width, height])
    lowest = np.clip(np.ceil(corners.min(1) - 0.5), 0, limit).astype(np.int64)  # [F, 2] first pixel centre inside
    highest = np.clip(np.floor(corners.max(1) - 0.5) + 1, 0, limit).astype(np.int64)

    for low, high, part in _portions(lowest, highest, np.abs(area) > 1e-12, max(PAIRS // max(width, 1), 1), height):
        extent = high - low
        n = extent.prod(1)  # candidate pixels of each triangle
        t = np.repeat(np.arange(len(part)), n)
        k = np.arange(len(t)) - np.repeat(np.cumsum(n) - n, n)
        column, row = low[t, 0] + k % extent[t, 0], low[t, 1] + k // extent[t, 0]
        t = part[t]  # [K] triangle of each candidate
        centre = np.stack([column, row], 1) + 0.5
        a, b, c = (corners[t, i] - centre for i in range(3))
        share = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], 1) / area[t, None]  # [K, 3] in the picture plane
        hit = (share >= -EDGE).all(1)
        t, pixel, share = t[hit], (row * width + column)[hit], share[hit]
        w = share * nearness[t]  # 1 / z is linear in the picture plane
        near = w.sum(1)
        order = np.lexsort((faces[t], -near, pixel))
        first = order[np.r_[True, np.diff(pixel[order]) > 0]] if len(order) else order
        first = first[near[first] > nearest[pixel[first]]]
        where = pixel[first]
        face[where], nearest[where] = faces[t[first]], near[first]
        weights[where] = w[first] / near[first, None]
    shape = (height, width)
    return Fragments(face.reshape(shape), weights.reshape(*shape, 3), nearest.reshape(shape))


def doubled_area(corners):
    """Twice the signed area of triangles [F, 3, 2]; positive when they run counter-clockwise with y up."""
    return _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def view_of(mesh, camera, fragments=None, mask=None):
    """The View of the mesh's texture through a camera: what painted triangles cover. mask: bool [H, W], only these."""
    fragments = fragments or draw(mesh, camera)
    inside = fragments.covered & mesh.shows[fragments.face]
    inside = inside if mask is None else inside & mask
    uv = fragments.interpolate(mesh, mesh.uv)[inside]  # [P, 2]
    used = mesh.uv[mesh.faces[mesh.shows]]
    repeats = bool((used < 0).any() or (used > 1).any())
    if repeats:
        uv = uv - np.floor(uv)
    pixels, _ = camera.project(mesh.vertices)
    areas = _area_ratio(mesh.uv[mesh.faces], pixels[mesh.faces])[fragments.face[inside]]
    return make_view(inside, np.stack([uv[:, 0], 1 - uv[:, 1]], 1), np.sqrt(areas), repeats)


def make_view(inside, position, footprint, repeats=False):
    """A View of numpy arrays; see the class."""
    return View(inside, torch.from_numpy(position).float(), torch.from_numpy(footprint).float(), repeats)


def render(texture, view):
    """Look the texture up: [1, C, H, W] of any range -> [C, P], one value a grid point that sees something.

    Bilinear in the two mipmaps next to the point's footprint, and linear between them (trilinear filtering); where a
    texel is larger than a pixel, plainly bilinear. Linear in the texture. See `picture_of` for the whole picture.
    """
    side = (texture.shape[2] * texture.shape[3]) ** 0.5
    level = torch.log2((view.footprint * side).clamp_min(1e-6)).clamp_min(0)  # [P]
    last = max(min(texture.shape[2:]).bit_length() - 1, 0)
    level = level.clamp_max(last)
    lower = level.floor().long()
    result, mip = texture.new_zeros(texture.shape[1], len(level)), texture
    for index in range(int(lower.max()) + 2 if len(level) else 0):
        share = torch.where(lower == index, 1 - (level - lower), 0) + torch.where(lower == index - 1, level - lower, 0)
        used = torch.nonzero(share)[:, 0]
        if len(used):
            found = bilinear(mip, view.position[used], view.repeats)
            result = result.index_add(1, used, found * share[used].to(found.dtype))
        if min(mip.shape[2:]) < 2:
            break
        mip = avg_pool2d(mip, 2)
    return result


def bilinear(texture, position, repeats=False):
    """[1, C, H, W] at positions [P, 2] in [0, 1] -> [C, P]; beyond the outermost texel centres its border goes on."""
    height, width = texture.shape[2:]
    grid = position
    if repeats:
        texture = pad(texture, (1, 1, 1, 1), mode="circular")
        scale = position.new_tensor([width, height])
        grid = (position * scale + 1) / (scale + 2)
    grid = (2 * grid - 1)[None, None].to(texture.dtype)  # [1, 1, P, 2]
    return grid_sample(texture, grid, mode="bilinear", padding_mode="border", align_corners=False)[0, :, 0]


def join(views):
    """Several Views of one texture as one; of more than one the grid is flat, [N]."""
    if len(views) == 1:
        return views[0]
    inside = np.concatenate([view.inside.ravel() for view in views])
    position, footprint = torch.cat([view.position for view in views]), torch.cat([view.footprint for view in views])
    return View(inside, position, footprint, views[0].repeats)


def picture_of(values, view, background=0.0):
    """[C, P] as from `render` -> [C, H, W] with the background where the view sees nothing."""
    picture = values.new_full([len(values), *view.inside.shape], background)
    picture[:, torch.from_numpy(view.inside).to(values.device)] = values
    return picture


def render_picture(mesh, camera, texture, background=0.0, others=()):
    """The mesh with a texture, uint8 [H, W, 3], as the camera sees it: uint8 [h, w, 3].

    others: (the same mesh with other triangles painted, their texture), drawn too.
    """
    fragments = draw(mesh, camera)
    picture = torch.full([3, *fragments.face.shape], float(background))
    for painted, pixels in ((mesh, texture), *others):
        view = view_of(painted, camera, fragments)
        values = render(torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float(), view)  # [3, P]
        picture[:, torch.from_numpy(view.inside)] = values
    return picture.permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def _area_ratio(over, under):
    """Area of triangles [F, 3, 2] relative to others, [F]; 0 for those without area."""
    over, under = np.abs(doubled_area(over)), np.abs(doubled_area(under))
    return over / np.where(under > 0, under, np.inf)


def _cross(a, b):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _portions(lowest, highest, has_area, rows, height):
    """Yields (low [K, 2], high [K, 2], triangles [K]): bands of so many rows, and in each the triangles that have
    candidate pixels, divided so that a portion has about PAIRS of them at most. High is exclusive."""
    for top in range(0, height, rows):
        low, high = lowest.copy(), highest.copy()
        low[:, 1], high[:, 1] = np.maximum(low[:, 1], top), np.minimum(high[:, 1], top + rows)
        used = np.flatnonzero(((high - low) > 0).all(1) & has_area)
        ends = np.cumsum((high - low)[used].prod(1))
        for part in np.split(used, np.flatnonzero(np.diff(ends // PAIRS)) + 1) if len(used) else []:
            yield low[part], high[part], part
