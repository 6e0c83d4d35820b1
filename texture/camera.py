"""Cameras: read one from JSON, or solve pose and focal length from the 68 landmarks of a picture.

To solve, the mesh is drawn with its own texture from a guessed side, dlib's landmarks are found in that drawing and
followed through the z-buffer to points on the mesh; pose and focal length then minimise their distance to the landmarks
of the photograph (a pinhole camera with square pixels whose axis meets the picture's middle). Drawing again through the
solved camera and finding the landmarks anew lets the predictor err in the same way in both pictures.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alignment.formats import MOST_PIXELS, PictureError, read_file
from alignment.text import one_line, shown
from weights.files import written_atomically

INNER = slice(17, 68)  # brows, nose, eyes, mouth; the jaw's landmarks lie on the outline, not on fixed points
GUESS_SIZE = 640  # pixels of the drawings in which landmarks are sought
CLEAR_SCORE = 1.0  # of dlib's detector: a clear frontal face
FOCAL = (0.8, 12.0)  # bounds of the focal length, of the picture's longer side
# Landmarks alone hardly tell a long lens from a near one. Around a face, pictures have 1.4 (a telephone at arm's
# length) to 6 (a portrait lens): that is one standard deviation either way, where a landmark's is LANDMARK_ERROR.
FOCAL_PRIOR = (2.9, 2.07)  # middle, and factor either way
LANDMARK_ERROR = 0.008  # of the picture's longer side
MOST_BYTES, LARGEST = 2**20, 1e9  # of a camera's file, and of the numbers in it


class CameraError(Exception):
    """A camera that cannot be read or solved; the message is one line with the remedy."""

    def __str__(self):
        return shown(super().__str__(), 2000)


@dataclass(frozen=True)
class Camera:
    """Pinhole camera: x_cam = M[:, :3] X + M[:, 3], pixel = (fx x / z + cx, fy y / z + cy)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float  # pixel coordinates are continuous: the centre of the top left pixel is (0.5, 0.5)
    cy: float
    world_to_camera: np.ndarray  # float64 [3, 4]; axes x right, y down, z forward

    def project(self, points):
        """World points [N, 3] -> (pixels float64 [N, 2], depth z [N]); pixels are finite even behind the camera."""
        x, y, z = (points @ self.world_to_camera[:, :3].T + self.world_to_camera[:, 3]).T
        safe = np.where(np.abs(z) < 1e-9, 1e-9, z)
        return np.stack([self.fx * x / safe + self.cx, self.fy * y / safe + self.cy], axis=1), z

    @property
    def centre(self):
        """Where the camera stands in the world, [3]."""
        return -self.world_to_camera[:, :3].T @ self.world_to_camera[:, 3]

    def turned(self, pivot, right=0.0, up=0.0):
        """This camera when the head has turned about `pivot` [3], degrees to the right of the picture and up."""
        a, b = np.radians([right, up])
        spin = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
        nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
        rotation, move = self.world_to_camera[:, :3], self.world_to_camera[:, 3]
        turned = nod @ spin @ rotation
        place = rotation @ pivot + move  # stays where it is
        matrix = np.concatenate([turned, (place - turned @ pivot)[:, None]], axis=1)
        return Camera(self.width, self.height, self.fx, self.fy, self.cx, self.cy, matrix)


def read_camera(path):
    """A Camera from JSON with image_size [width, height], fx, fy, cx, cy and world_to_camera [3, 4].

    Raises CameraError, naming the file, when it is missing, damaged, or not such a camera.
    """
    path = Path(path)
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise ValueError("too large")
        data = json.loads(read_file(path))
        width, height = (int(side) for side in data["image_size"])
        matrix = np.asarray(data["world_to_camera"], np.float64)
        numbers = [float(data[key]) for key in ("fx", "fy", "cx", "cy")]
    except PictureError as error:
        raise CameraError(f"{error}, or leave --camera out to solve one") from error
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError, OSError) as error:
        raise CameraError(
            f"{path}: not a camera ({type(error).__name__}: {one_line(error)}); it needs image_size, fx, fy, cx, "
            "cy and world_to_camera"
        ) from error
    if matrix.shape != (3, 4):
        raise CameraError(f"{path}: world_to_camera must be 3 x 4 and start with a rotation; export it again")
    if not (np.isfinite(matrix).all() and np.isfinite(numbers).all() and min(width, height, *numbers[:2]) > 0):
        raise CameraError(f"{path}: sizes and focal lengths must be positive and finite; export it again")
    if width * height > MOST_PIXELS or max(np.abs(numbers).max(), np.abs(matrix).max()) > LARGEST:
        raise CameraError(f"{path}: its picture has over 200 million pixels, or a number is over 1e9; export it again")
    rotation = matrix[:, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
        raise CameraError(f"{path}: world_to_camera must be 3 x 4 and start with a rotation; export it again")
    return Camera(width, height, *numbers, matrix)


def write_camera(path, camera):
    """Write what `read_camera` reads."""
    names = ("fx", "fy", "cx", "cy")
    data = {"image_size": [camera.width, camera.height]} | {name: getattr(camera, name) for name in names}
    data["world_to_camera"] = camera.world_to_camera.tolist()
    with written_atomically(path) as unfinished:
        unfinished.write_text(json.dumps(data, indent=1))


def solve_camera(mesh, texture, picture, others=()):
    """(Camera, reprojection error: root mean square over the inner landmarks, pixels of the picture).

    texture, picture: uint8 [H, W, 3]; others: as of `render_picture`. The mesh may stand in any of the 24 axis-aligned
    ways. Raises CameraError when no face is found in the picture, or in any drawing of the mesh.
    """
    from alignment import detect_faces

    faces = detect_faces(picture)
    if not faces:
        raise CameraError("no face found in the picture, so no camera can be solved; give one with --camera")
    wanted = faces[0].landmarks[INNER] + 0.5  # to continuous pixel coordinates

    score, points = 0.0, None
    for guess in _guesses(mesh):
        other, found = _landmarks_on(mesh, texture, others, guess)
        if other > score:
            score, points = other, found
        if score > CLEAR_SCORE:
            break
    if points is None:
        raise CameraError("no face found on the mesh from any side, so no camera can be solved; give one with --camera")
    camera, error = fit_camera(points, wanted, picture.shape[1], picture.shape[0])
    for _ in range(2):
        _, points = _landmarks_on(mesh, texture, others, camera)
        if points is None:
            break
        again, rest = fit_camera(points, wanted, camera.width, camera.height)
        if rest >= error:
            break
        camera, error = again, rest
    return camera, error


def fit_camera(points, pixels, width, height):
    """The pinhole camera that brings points [N, 3] to pixels [N, 2]: (Camera, RMS error in pixels).

    The pose by EPnP for a row of focal lengths, each refined in all seven numbers by least squares within bounds, with
    a prior on the focal length; the best is taken. Rows of points with NaN are left out. Raises CameraError with fewer
    than 6 points.
    """
    import cv2
    from scipy.optimize import least_squares

    known = np.isfinite(points).all(1)
    points, pixels = points[known], pixels[known]
    if len(points) < 6:
        raise CameraError(f"only {len(points)} landmarks lie on the mesh, 6 are needed; give a camera with --camera")
    middle, unit = points.mean(0), np.ptp(points, axis=0).max()
    points = (points - middle) / unit  # so that every unknown is of order 1
    side, centre = max(width, height), (width / 2, height / 2)

    def residuals(unknowns):
        rotation = cv2.Rodrigues(unknowns[:3])[0]
        x, y, z = (points @ rotation.T + unknowns[3:6] * (1, 1, np.exp(unknowns[6]))).T
        focal = np.exp(unknowns[6]) * side
        z = np.maximum(z, 1e-3)
        off = [focal * x / z + centre[0] - pixels[:, 0], focal * y / z + centre[1] - pixels[:, 1]]
        prior = (unknowns[6] - np.log(FOCAL_PRIOR[0])) / np.log(FOCAL_PRIOR[1]) * LANDMARK_ERROR * side
        return np.concatenate([*off, [prior]])

    best = None
    for focal in np.geomspace(FOCAL[0] * 1.2, FOCAL[1] / 1.2, 6):
        matrix = np.array([[focal * side, 0, centre[0]], [0, focal * side, centre[1]], [0, 0, 1]])
        found, turn, move = cv2.solvePnP(points, pixels, matrix, None, flags=cv2.SOLVEPNP_EPNP)
        if not found or move[2] <= 0:
            continue
        start = np.concatenate([turn[:, 0], move[:, 0] / (1, 1, focal), [np.log(focal)]])
        low, high = [-np.inf] * 6 + [np.log(FOCAL[0])], [np.inf] * 6 + [np.log(FOCAL[1])]
        fit = least_squares(residuals, start, bounds=(low, high))
        if best is None or fit.cost < best.cost:
            best = fit
    if best is None:
        raise CameraError("no pose fits the landmarks; give a camera with --camera")
    rotation, focal = cv2.Rodrigues(best.x[:3])[0], float(np.exp(best.x[6]))
    move = best.x[3:6] * (1, 1, focal) * unit - rotation @ middle
    camera = Camera(width, height, focal * side, focal * side, *centre, np.concatenate([rotation, move[:, None]], 1))
    off = camera.project(points * unit + middle)[0] - pixels
    return camera, float(np.sqrt((off**2).sum(1).mean()))


def _landmarks_on(mesh, texture, others, camera):
    """(detector's score, points float64 [51, 3] on the mesh, NaN where a landmark misses it); no face: (0, None)."""
    from alignment import detect_faces

    from .rasterize import draw, render_picture

    drawing = render_picture(mesh, camera, texture, background=64.0, others=others)
    faces = detect_faces(np.ascontiguousarray(drawing))
    if not faces:
        return 0.0, None
    fragments = draw(mesh, camera)
    place = fragments.interpolate(mesh, mesh.vertices)
    place[~fragments.covered] = np.nan
    place = _grown(place)  # a landmark on the rim of an eye hole belongs to the nearest surface
    column, row = np.rint(faces[0].landmarks[INNER]).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
    points = np.full([len(column), 3], np.nan)
    points[inside] = place[row[inside], column[inside]]
    return faces[0].score, points


def _grown(place, reach=6):
    """Fill pixels with NaN from the nearest pixel without, up to `reach` pixels away; float64 [H, W, 3]."""
    from scipy.ndimage import distance_transform_edt

    distance, (rows, columns) = distance_transform_edt(np.isnan(place[..., 0]), return_indices=True)
    grown = place[rows, columns]
    grown[distance > reach] = np.nan
    return grown


def _guesses(mesh):
    """A camera far before each of the mesh's six sides, in four rolls: the 24 ways a mesh can stand."""
    middle = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2
    axes = [sign * np.eye(3)[i] for i in range(3) for sign in (1, -1)]
    for forward in axes:
        for down in axes:
            if abs(forward @ down) > 0.5:
                continue
            rotation = np.stack([np.cross(down, forward), down, forward])  # rows: right, down, forward
            extent = np.ptp(mesh.vertices @ rotation.T, axis=0)
            away = 6 * mesh.size
            focal = 0.9 * GUESS_SIZE * away / max(extent[:2])
            move = np.array([0, 0, away]) - rotation @ middle
            matrix = np.concatenate([rotation, move[:, None]], 1)
            yield Camera(GUESS_SIZE, GUESS_SIZE, focal, focal, GUESS_SIZE / 2, GUESS_SIZE / 2, matrix)
