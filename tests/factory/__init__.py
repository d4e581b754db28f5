"""A whole factory for tests: real processes, real servers, on free ports, with the real stages or with stubs."""
