"""From any pictures to a training set of aligned, filtered face crops.

sources      what there is: folders, zips, lists of URLs -> items
maps         which of their files are wanted, and no depth map among them
urls         what a URL is called, on disk and in reports
download     fetch the items that are URLs, politely
measure      one item -> its faces: crop and measurements (runs in many processes)
journal      what is done already, and the processes that do the rest
filters      which faces stay, and why the others go
pack         the folder or zip that training reads
review       a page to look at every picture and tick those that must go
"""


class PreparationError(Exception):
    """Nothing can be prepared until somebody acts; the message is one line that names the file and the remedy."""
