"""Compile `csrc/` into a shared library, once.

The sources need no torch headers and export plain C functions, so a build takes seconds and does not break with torch
versions. The library lies in a cache folder (`LIFELIKE_CACHE`, by default `~/.cache/lifelike`) whose name holds a hash
of the sources, the compiler, its flags, and the torch and CUDA versions. Several processes may ask at the same time:
one builds, under a file lock, the others wait for it. A damaged library is built again.
"""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import weights
from weights.files import cache_folder, written_atomically

CSRC = Path(__file__).parent / "csrc"
SOURCES = ("bias_act.cu", "upfirdn2d.cu")


class BuildError(Exception):
    """The library cannot be built here. The message names the reason and the remedy."""


def cuda_library(capability):
    """The CUDA kernels for a GPU of compute capability (major, minor), as a ctypes.CDLL. Raises BuildError."""
    major, minor = capability
    target = f"-gencode=arch=compute_{major}{minor},code=[sm_{major}{minor},compute_{major}{minor}]"
    return _library(nvcc(), ["-std=c++17", "-O3", "-Xcompiler", "-fPIC", target])


def host_library():
    """The same arithmetic as loops for the CPU, float32 and float64 only: for tests of the kernels without a GPU."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        raise BuildError("no C++ compiler found; install g++ or set CXX")
    return _library(compiler, ["-std=c++17", "-O2", "-fPIC", "-x", "c++"])


def nvcc():
    """Path of the CUDA compiler: CUDA_HOME's, else the one on PATH, else /usr/local/cuda's. Raises BuildError."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    candidates = [Path(home) / "bin/nvcc"] if home else [shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return str(candidate)
    raise BuildError("nvcc not found; install the CUDA toolkit or set CUDA_HOME to where it lies")


def _library(compiler, flags):
    import torch
    from filelock import FileLock  # torch needs it too

    identity = [compiler, *flags, torch.__version__, str(torch.version.cuda), _version(compiler)]
    digest = hashlib.sha256("\0".join(identity).encode())
    for path in sorted(CSRC.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    folder = cache_folder() / digest.hexdigest()[:16]
    library = folder / "lifelike_ops.so"
    try:
        if not _whole(library):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / "lock"):
                if not _whole(library):
                    _build(compiler, flags, folder, library)
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise BuildError(f"{library}: {error}; set LIFELIKE_CACHE to a folder that can be written") from error


def _whole(library):
    """Whether a library is the one that was built, byte for byte: a damaged one would end the process (SIGBUS)."""
    try:
        return _record(library).read_text() == weights.sha256(library)
    except (OSError, ValueError):
        return False


def _record(library):
    """The file beside a library that holds its SHA-256."""
    return library.with_suffix(".sha256")


def _build(compiler, flags, folder, library):
    """Write build.ninja and run ninja; the finished library gets its name, then its record."""
    partial = folder / "partial.so"
    lines = [
        "rule compile\n  command = $compiler $flags -c $in -o $out",
        "rule link\n  command = $compiler -shared $in -o $out",
        f"compiler = {_escaped(compiler)}",
        f"flags = {' '.join(_escaped(flag) for flag in flags)}",
    ]
    objects = []
    for source in SOURCES:
        objects.append(str(Path(source).with_suffix(".o")))
        (folder / objects[-1]).unlink(missing_ok=True)  # what a killed build left may be cut short
        lines.append(f"build {objects[-1]}: compile {_escaped(str(CSRC / source))}")
    lines.append(f"build {partial.name}: link {' '.join(objects)}")
    (folder / "build.ninja").write_text("\n".join(lines) + "\n")
    try:
        done = subprocess.run([_ninja()], cwd=folder, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"ninja did not run ({error}); pip install ninja") from error
    if done.returncode:
        raise BuildError(f"compiling the kernels failed; the log is {_write_log(folder, done.stdout + done.stderr)}")
    digest = weights.sha256(partial)
    os.replace(partial, library)
    with written_atomically(_record(library)) as unfinished:
        unfinished.write_text(digest)


def _write_log(folder, text):
    path = folder / "build.log"
    path.write_text(text)
    return path


def _ninja():
    """The ninja of this environment, else the one on PATH."""
    scripts = Path(sysconfig.get_path("scripts")) / ("ninja.exe" if sys.platform == "win32" else "ninja")
    return str(scripts) if scripts.is_file() else "ninja"


def _escaped(text):
    """A word in a ninja file that reaches the shell as one word."""
    return shlex.quote(text).replace("$", "$$")


def _version(compiler):
    try:
        return subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{compiler} does not run ({error})") from error
