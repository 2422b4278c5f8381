"""How long a program waits for its imports."""


class Import:
    def timeraw_fastctc(self):
        return "import fastctc"

    def timeraw_numpy(self):
        return "import numpy"

    def timeraw_reader(self):
        return "import fastctc.htr.reader"
