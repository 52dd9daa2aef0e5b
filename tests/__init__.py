"""The test suite: unittest, quick, on loopback; see tests/interop for the tests against other implementations."""

import logging

logging.getLogger("ldicomnet").addHandler(logging.NullHandler())  # what peers do wrong here is wanted
