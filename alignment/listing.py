"""Which files of a folder, or members of a zip, are pictures; what is left out, and why; and in what order they come.

One list of suffixes for everything here (formats.SUFFIXES). What systems leave beside pictures (`._a.png`, __MACOSX,
Thumbs.db, .DS_Store, hidden files) is passed over in silence; what looks like a picture and is not taken is named.
"""

import os
import re
import stat
from collections import Counter
from pathlib import Path, PurePosixPath

from .formats import PICTURE_SUFFIXES, SUFFIXES
from .text import shown

LITTER = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "@eadir"}
OTHER_PICTURES = """
.heic .heif .hif .jxl .exr .hdr .rgbe .svg .svgz .psd .psb .xcf .kra .ai .eps .ps .wmf .emf .pct .pict .dng .cr2 .cr3
.nef .arw .orf .rw2 .raf .pef .srw .raw .jxr .wdp .hdp .bpg .flif .ktx .ktx2 .dds .pam .pcx .dcx .sgi .rgb .rgba .bw
.ras .ico .cur .icns .xbm .xpm .msp .im .fits .fit .fli .flc .blp .pcd .pxr .jpm .mj2 .avifs .cin .dpx .dib
""".split()
ALL_SUFFIXES = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}  # also of formats this Pillow lacks


def is_litter(name):
    """Is a path (with / between its parts, relative to what was given) something no user put there, or hidden? A
    picture called "...png", whose stem is made of points, is neither."""
    return any(part.lower() in LITTER or _is_hidden(part) for part in PurePosixPath(name).parts)


def _is_hidden(part):
    path = PurePosixPath(part)
    return part.startswith(".") and part not in (".", "..") and not (path.suffix and not path.stem.strip("."))


def sort_names(names):
    """(those of the names that are pictures, [(name, why)] of those that look like pictures of another kind).

    names: relative paths with /, of a folder's files or a zip's members. Decided by the name alone.
    """
    taken, left_out = [], []
    for name in names:
        suffix = PurePosixPath(name).suffix.lower()
        if is_litter(name):
            continue
        if suffix in PICTURE_SUFFIXES:
            taken.append(name)
        elif suffix in OTHER_PICTURES or suffix in ALL_SUFFIXES:
            left_out.append((name, f"{suffix} files are not read here"))
    return taken, left_out


def pictures_in(folder, deep=False):
    """(sorted paths of the pictures in a folder, [(path, why)] of what was left out though it looks like one).

    deep: at any depth. Folders that are links are followed, each real folder once, so that loops end; a link to a
    folder seen before is named. Only regular files, and links to them, are pictures: a pipe would be waited for. Raises
    OSError when the folder cannot be read.
    """
    folder = Path(folder)
    taken, left_out, seen = [], [], {os.path.realpath(folder)}
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            if here == folder:
                raise
            left_out.append((here, f"cannot be read ({error.strerror})"))
            continue
        files = []
        for entry in entries:
            path = here / entry.name
            if is_litter(entry.name):
                continue
            if _is_folder(path):
                if deep and os.path.realpath(path) in seen:
                    left_out.append((path, "links to a folder that is listed already"))
                elif deep:
                    seen.add(os.path.realpath(path))
                    waiting.append(path)
                continue
            files.append(entry.name)
        good, other = sort_names(files)
        left_out += [(here / name, why) for name, why in other]
        for name in good:
            why = _no_file(here / name)
            taken += [here / name] if why is None else []
            left_out += [(here / name, why)] if why else []
    return sorted(taken, key=os.fspath), sorted(left_out, key=lambda item: os.fspath(item[0]))


def left_out_line(left_out, most=3):
    """One line for [(path, why)], or None: how many, why, and the first few names."""
    if not left_out:
        return None
    why = ", ".join(f"{why} ({n})" if n > 1 else why for why, n in Counter(why for _, why in left_out).most_common(3))
    names = ", ".join(shown(PurePosixPath(str(path)).name) for path, _ in left_out[:most])
    more = f" and {len(left_out) - most} more" if len(left_out) > most else ""
    return f"left out: {names}{more}: {why}"


def natural_key(path):
    """A key to sort by, with the numbers in names counted: frame2 before frame10."""
    parts = re.split(r"([0-9]+)", os.fspath(path))
    return [(int(part[-4000:]), part) if index % 2 else (0, part) for index, part in enumerate(parts)]


def frame_number(path):
    """The frame that a file name counts: its last run of digits, as in shot2_0017.png or render.0017.exr.png; None
    where there is none, or one too long for a count."""
    runs = re.findall(r"[0-9]+", PurePosixPath(os.fspath(path).replace("\\", "/")).stem)
    return int(runs[-1]) if runs and len(runs[-1]) <= 15 else None


def _is_folder(path):
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False


def _no_file(path):
    """Why a path is no regular file that can be opened, or None."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return f"leads nowhere ({error.strerror})"
    return None if stat.S_ISREG(mode) else "no regular file"
