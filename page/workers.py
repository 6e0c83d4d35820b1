"""A process that does the tasks of tasks.py, one after the other, and is started again when one of them kills it."""

import multiprocessing
import threading


class Refused(Exception):
    """A task that cannot be done; the message is for the user."""


class Cancelled(Exception):
    """A task that was stopped as asked."""


class Worker:
    """weights, device, g_rendering: as the options of app.py; the process loads the networks when it starts."""

    def __init__(self, weights, device, g_rendering=None):
        self.settings = weights, device, g_rendering
        self.one_at_a_time = threading.Lock()
        self.context = multiprocessing.get_context("spawn")
        self.process, self.closed = None, False

    def start(self):
        """Let the process start, if there is none."""
        if self.process is not None and self.process.is_alive():
            return
        self.connection, theirs = self.context.Pipe()
        stops, self.stop = self.context.Pipe(duplex=False)
        self.process = self.context.Process(target=serve, args=(theirs, stops, *self.settings), daemon=True)
        self.process.start()
        theirs.close()
        stops.close()

    def call(self, task, *arguments, on_event=None, cancelled=None):
        """What tasks.<task>(networks, emit, *arguments) returns. on_event(*event): of what it emits meanwhile.

        cancelled: a threading.Event that stops the task. Raises Refused, also when the task killed the process, or
        Cancelled.
        """
        with self.one_at_a_time:
            if self.closed:
                raise Refused("the page is being ended")
            self.start()
            try:
                self.connection.send((task, arguments))
                while True:
                    if cancelled is not None and cancelled.is_set():
                        self.stop.send(True)
                    if not self.connection.poll(0.1):
                        continue
                    kind, *content = self.connection.recv()
                    if kind == "done":
                        return content[0]
                    if kind == "refused":
                        raise Refused(content[0])
                    if kind == "cancelled":
                        raise Cancelled
                    if on_event is not None:
                        on_event(*content)
            except (EOFError, OSError) as error:
                self.process.join(5)
                self.process = None
                raise Refused(
                    "the process that worked on this picture ended (perhaps for want of memory) and is started again; "
                    "use a smaller picture"
                ) from error

    def close(self):
        self.closed = True
        if self.process is not None:
            self.process.terminate()
            self.process.join(5)


def serve(connection, stops, weights, device, g_rendering):
    """The process: tasks in, events and results out, until the other end is gone. stops: what comes there ends the
    task."""
    import signal
    import traceback

    import click

    from alignment import AlignmentError, PictureError
    from weights import WeightsError

    from . import tasks

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends us

    def emit(*event):
        if stops.poll():
            raise Cancelled
        connection.send(("event", *event))

    networks = tasks.Networks(weights, device, g_rendering)
    while True:
        try:
            task, arguments = connection.recv()
            while stops.poll():  # meant for the task before, which had ended
                stops.recv()
        except (EOFError, OSError):
            return
        try:
            answer = "done", getattr(tasks, task)(networks, emit, *arguments)
        except Cancelled:
            answer = ("cancelled",)
        except click.ClickException as error:
            answer = "refused", error.message
        except (Refused, PictureError, AlignmentError, WeightsError) as error:
            answer = "refused", str(error)
        except MemoryError:
            answer = "refused", "too large for the memory of this machine; use a smaller picture"
        except Exception as error:
            traceback.print_exc()
            answer = "refused", f"this did not work ({type(error).__name__}); what happened is in the server's log"
        connection.send(answer)
