"""What every test shares: the rule that in CI a skip nobody expected is a failure."""

import os
from pathlib import Path

import pytest

EXPECTED_SKIPS = Path(__file__).with_name("expected_skips.txt")


def _expected(reason: str) -> bool:
    lines = EXPECTED_SKIPS.read_text().splitlines()
    return any(line in reason for line in lines if line and not line.startswith("#"))


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") != "true":
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    surprises = [r for r in reporter.stats.get("skipped", []) if not _expected(_reason(r))]
    for report in surprises:
        reporter.write_line(f"unexpected skip: {report.nodeid}: {_reason(report)}", red=True)
    if surprises and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
