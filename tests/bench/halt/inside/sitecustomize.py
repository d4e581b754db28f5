"""Python runs this at the start of each process under watch, which then runs the product's own command line.

So what is measured is `python -m actors render` as it ships, down to the child that it starts, and no line of the
product knows of it.
"""

from tests.bench.halt import noting

noting.begin()
