"""A folder that the bench puts on the Python path of the processes it watches; see sitecustomize.py."""
