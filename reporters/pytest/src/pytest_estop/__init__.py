"""Tells `estop run` how far the tests are and which have failed, and ends the report with who stopped them."""
