import os
import time
from pathlib import Path


def test_the_basket_opens():
    pass


def test_the_payment_takes_its_time():
    Path(os.environ["FIXTURE_OUT"], "slow").write_text("payment")
    time.sleep(300)


def test_the_summary_is_never_reached():
    pass
