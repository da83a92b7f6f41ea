# The filter by which a play keeps a text in a file of the controller. A task of `copy` starts Python twice more for that, which costs more than a play.
from pathlib import Path


def keep(text, path):
    Path(path).write_text(text, encoding="utf-8")
    return path


class FilterModule:
    def filters(self):
        return {"keep_in": keep}
