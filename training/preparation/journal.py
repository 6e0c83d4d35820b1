"""What is done already, and the processes that do the rest.

Every finished item is one line of a journal, so a run that was stopped, or killed, goes on where it was.
"""

import json
import math
import multiprocessing
import multiprocessing.connection
import os
import re
import signal
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from alignment.text import shown

from .filters import refusal
from .measure import crop_path


def read_journal(path, tell=lambda line: None):
    """{item name: its latest record}. The line that was being written when a run was killed does not count.

    tell: is given a line about others that are damaged; their pictures are done again.
    """
    records, damaged = {}, 0
    if path.is_file():
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if is_sound(record):
                records[record["name"]] = record
            else:
                damaged += 1
    if damaged:
        tell(f"{shown(path)}: {damaged} damaged lines; their pictures are done again")
    return records


def is_sound(record):
    """Is it a record as measure.prepare makes them?"""
    number = lambda value: type(value) in (int, float) and math.isfinite(value)  # noqa: E731
    try:
        faces = record["faces"]
        return (
            all(isinstance(record[key], str) for key in ("name", "stamp"))
            and (record["error"] is None or isinstance(record["error"], str))
            and number(record["searched"])
            and isinstance(faces, list)
            and all(re.fullmatch(r"[0-9a-f]{20}-[0-9]{1,6}", face["id"]) for face in faces)
            and all(number(face[key]) for face in faces for key in ("side", "yaw"))
            and all(face["sharpness"] is None or number(face["sharpness"]) for face in faces)
            and all(face["hash"] is None or re.fullmatch("[0-9a-f]{64}", face["hash"]) for face in faces)
            and all((face["hash"] is None) == (face["sharpness"] is None) for face in faces)
        )
    except (KeyError, TypeError, IndexError, OverflowError):
        return False


def open_journal(path):
    """The journal, open for appending, after its last whole line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab+")
    file.seek(0)
    whole = file.read().rfind(b"\n") + 1
    file.truncate(whole)
    return file


def append(file, record):
    """One record, on its way to the disk before the next one begins."""
    file.write(json.dumps(record).encode() + b"\n")
    file.flush()


def is_done(item, record, narrowest, limits, folder):
    """Does the record still say all there is to know: same content, nothing left out that the limits now admit?"""
    if record is None or record["stamp"] != item.stamp:
        return False
    if record["error"]:
        return True
    if record["searched"] > narrowest:  # the search was for larger faces only
        return False
    wanted = [face for face in record["faces"] if refusal(face, len(record["faces"]), limits) is None]
    return all(face["hash"] and crop_path(folder, face["id"]).is_file() for face in wanted)


def in_processes(work, items, workers):
    """Yields (item, work(item)) as they are finished, in any order, from `workers` processes.

    An item that takes its process down with it (a decoder that crashes, memory that runs out) gives (item, None) and
    the others are done. What `work` raises is raised here.
    """
    items = iter(items)
    pool = _pool(workers)
    running = {}
    try:
        while True:
            for item in items:
                running[pool.submit(work, item)] = item
                if len(running) >= 4 * workers:
                    break
            if not running:
                return
            try:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield running.pop(future), result
            except BrokenProcessPool:
                # Any of those under way may have done it: each gets a process of its own.
                suspects, running = list(running.values()), {}
                pool.shutdown(cancel_futures=True)
                for item in suspects:
                    with _pool(1) as alone:
                        try:
                            result = alone.submit(work, item).result()
                        except BrokenProcessPool:
                            result = None
                    yield item, result
                pool = _pool(workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _pool(workers):
    # Not forked: a fork of a process with threads may wait forever. "spawn" is the same on every system.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_one_thread)


def _one_thread():
    """As many processes as cores: more threads would only be in each other's way. Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    import cv2

    cv2.setNumThreads(1)


def _end_with_parent():
    """A parent that is killed cannot say goodbye; its processes would wait for work for ever."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
