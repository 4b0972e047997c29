import gc

import pytest


@pytest.fixture(autouse=True)
def _nothing_of_earlier_tests_dies_meanwhile():
    """Pages show how much memory is alive."""
    gc.collect()
