"""The page of app.py: a picture dropped into a browser, made real, finished by three sliders and taken home.

    layout      what is on the page                     actions     what its buttons and sliders do
    sessions    whose pictures, and where they lie      command     the project.py line that does the same
    workers     the processes that do the work          tasks       what they do, by jobs/ and pipeline/
    turns       who is next on the device               serving     what the server answers, and what not

The server itself touches no picture and no network: a picture that kills a worker leaves the page standing.
"""
