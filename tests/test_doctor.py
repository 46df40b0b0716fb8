"""The doctor: measures devices, and every finding that is not good comes with a next step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result

from superlens import doctor
from superlens.progress import Cancelled

GPU = doctor.Device("GPU:0", "some card", {}, {})
CPU = doctor.Device("CPU:0", "some processor", {}, {})


def test_a_card_in_use_is_good() -> None:
    assert doctor.find_devices((CPU, GPU)).grade == "ok"


@pytest.mark.parametrize("find", [doctor.find_memory, doctor.find_disk])
def test_too_little_room_is_a_warning_with_the_number(find: Callable[[int], doctor.Finding]) -> None:
    assert find(10**11).grade == "ok"
    low = find(1_500_000_000)
    assert (low.grade, "1.5 GB" in low.text, bool(low.advice)) == ("warn", True, True)


def test_a_busy_machine_is_told_apart_from_a_slow_one() -> None:
    assert doctor.find_load(0.3, 2).grade == "ok"
    assert "too long" in doctor.find_load(5.0, 2).text


def test_missing_models_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from superlens import model

    monkeypatch.setattr(model, "shipped", dict)
    assert "bad" in {finding.grade for finding in doctor.find_bundled()}


def test_the_speed_watch_leaves_out_the_first_report_and_stops_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5.0, 6.0, 7.0, 15.5, 20.0, 22.0])
    monkeypatch.setattr(doctor, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    watch = doctor._Watch()
    for done in (5, 10, 15):
        watch(done, 100, "training")
    with pytest.raises(Cancelled):
        watch(20, 100, "training")
    watch(0, 1, "predicting")
    watch(1, 1, "predicting")
    step = (15.5 - 5.0) / 15
    assert watch.seconds_a_step() == pytest.approx(step)
    assert watch.forecast(30.0, 100) == pytest.approx((30 - 10.5 - 2) + 100 * step + 4 * 2)


def test_an_examination_measures_the_processor_and_says_everything() -> None:
    found = doctor.examine(speed_test=False)
    device = found.devices[0]
    assert device.name == "CPU:0"
    assert all(speed > 0 for speed in (*device.product_gflops.values(), *device.convolution_gflops.values()))
    assert found.memory_total > found.memory_free > 0
    told = doctor.describe(found)
    for word in ("tensorflow", "threads", "memory", "CPU:0", "GFLOP/s", found.precision):
        assert word in told
    assert all(finding.advice for finding in found.findings if finding.grade != "ok")


def test_the_command_ends_with_1_only_when_something_is_broken(
    superlens: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert superlens("doctor", "--no-speed-test").exit_code == 0
    broken = (doctor.Finding("bad", "the pretrained models are missing.", "Reinstall superlens."),)
    monkeypatch.setattr(doctor, "find_bundled", lambda: list(broken))
    result = superlens("doctor", "--no-speed-test")
    assert result.exit_code == 1
    assert "Reinstall" in result.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("slim")
def test_the_speed_test_gives_a_forecast() -> None:
    speed, failure = doctor.speed_of(seconds=0.5)
    assert failure is None
    assert speed is not None
    assert 0 < speed.seconds_a_step < speed.fast_seconds


def test_the_processor_has_a_name_where_the_system_tells_it() -> None:
    if not Path("/proc/cpuinfo").exists():
        pytest.skip("only Linux tells the processor's name in /proc/cpuinfo")
    assert doctor.examine(speed_test=False).devices[0].model
