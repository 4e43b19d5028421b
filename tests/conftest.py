"""What every test shares: in CI a skip nobody expected is a failure, and a failure that a second
try takes back is shown whole.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made says how busy the machine is, nothing about the code. A test that
# suppresses a check of its own would bring this one back, so what any of them needs is here.
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("house", deadline=None, suppress_health_check=CHECKS)
settings.load_profile("house")

HERE = Path(__file__).parent
EXPECTED_SKIPS = HERE / "expected_skips.txt"

# Left out of `./run check`: gates over hundreds of random models, and what waits for real time,
# brokers, browsers or a training.
SLOW_FILES = {
    "bridge/test_bridge_api.py",
    "bridge/test_bridge_connections.py",
    "bridge/test_bridge_damaged_store.py",
    "bridge/test_bridge_daylight_saving.py",
    "bridge/test_bridge_deployed.py",
    "bridge/test_bridge_reload.py",
    "bridge/test_bridge_mqtt_boards.py",
    "bridge/test_bridge_alarm_gateways.py",
    "bridge/test_bridge_metrics.py",
    "bridge/test_bridge_embedded.py",
    "bridge/test_bridge_faults.py",
    "bridge/test_bridge_fuzz.py",
    "bridge/test_bridge_goodbye.py",
    "bridge/test_bridge_links.py",
    "bridge/test_bridge_modbus.py",
    "bridge/test_bridge_modbus_bad_clients.py",
    "bridge/test_bridge_mqtt.py",
    "bridge/test_bridge_mqtt_login.py",
    "bridge/test_bridge_opcua.py",
    "bridge/test_bridge_page.py",
    "bridge/test_bridge_slow_broker.py",
    "bridge/test_bridge_store.py",
    "bridge/test_bridge_web.py",
    "devices/test_build.py",
    "devices/test_flash.py",
    "devices/test_flash_command.py",
    "devices/test_flash_on_rom.py",
    "devices/test_flash_to_agent.py",
    "devices/test_installer.py",
    "devices/test_doctor.py",
    "devices/test_monitor.py",
    "devices/test_images.py",
    "devices/test_new_agent.py",
    "devices/test_console.py",
    "devices/test_deploy.py",
    "devices/test_deploy_kept.py",
    "devices/test_deploy_cuts.py",
    "devices/test_trial.py",
    "engine/test_arena.py",
    "engine/test_arena_plans.py",
    "engine/test_as_on_a_board.py",
    "engine/test_benchmarks.py",
    "engine/test_conv.py",
    "engine/test_elementwise.py",
    "engine/test_fuzz.py",
    "engine/test_golden.py",
    "engine/test_kernels.py",
    "engine/test_lstm.py",
    "engine/test_memory.py",
    "engine/test_pooling.py",
    "engine/test_random_models.py",
    "engine/test_reduce.py",
    "engine/test_shapes.py",
    "firmware/test_firmware_memory.py",
    "firmware/test_firmware_mqtt_hostile.py",
    "firmware/test_firmware_mqtt_on_vm.py",
    "firmware/test_firmware_mqtt_tls.py",
    "firmware/test_firmware_on_vm.py",
    "firmware/test_firmware_slots.py",
    "firmware/test_firmware_self_test.py",
    "simulation/test_simulated_mpremote.py",
    "training/test_quality.py",
    "training/test_train.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if str(item.path.relative_to(HERE)) in SLOW_FILES:
            item.add_marker(pytest.mark.slow)


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    unsteady = terminalreporter.stats.get("rerun", [])
    if unsteady:
        terminalreporter.section("failed, then tried once more", yellow=True)
    for report in unsteady:
        terminalreporter.line(f"{report.nodeid} ({report.when})", yellow=True, bold=True)
        terminalreporter.line(report.longreprtext)
