from __future__ import annotations

import inspect
import re

from tests.client.clinic.http import test_bad_requests
from tests.paths import ROOT

PAGE = ROOT / "docs" / "bad-input.md"


def test_each_row_about_the_server_has_a_test_that_expects_its_status_and_code() -> None:
    section = PAGE.read_text("utf-8").split("## At the server")[1].split("\n## ")[0]
    rows = re.findall(
        r"^\| [^|]+ \| (\d*) ?\| (?:`([\w-]+)`)? ?\| [^|]+ \| `(\w+)` \|$", section, re.MULTILINE
    )
    assert len(rows) == section.count("\n|") - 2
    for status, code, name in rows:
        source = inspect.getsource(getattr(test_bad_requests, name))
        assert status in source, name
        assert code in source, name
