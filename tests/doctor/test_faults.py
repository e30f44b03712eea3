"""The doctor on a box with one real fault at a time: it names that fault, and the fix."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vouchbox.doctor.finding import Finding, Result
from vouchbox.messages import Published
from vouchbox.simulator.certificates import Authority
from vouchbox.simulator.house_files import DEVICE, SITE
from vouchbox.vault import audit, egress, epochs, provision, registry
from vouchbox.vault.store import FILE, Store

Serve = Callable[..., None]


def only_fault(box: Any, family: str) -> Finding:
    """The one fault that a family finds."""
    found = box.faults(family)
    assert len(found) == 1, found
    return found[0]


def names(finding: Finding, check: str, what: str, fix: str) -> None:
    """The finding names this fault and this fix."""
    assert finding.result is Result.FAULT
    assert finding.check == check
    assert what in finding.what
    assert fix in finding.fix


@pytest.mark.mosquitto
def test_a_healthy_box_has_no_fault_and_is_left_as_it_was(box: Any, serve: Serve) -> None:
    serve()
    before = tree(box.folder)
    findings = box.examine()
    assert [each for each in findings if each.result is Result.FAULT] == []
    good = {each.check for each in findings if each.result is Result.OK}
    assert good >= {
        *("configuration", "models", "inference", "keys", "tls-key", "swap", "core-dumps"),
        *("disk", "state-folder", "database", "run-folder", "relying-parties", "epochs", "broker"),
    }
    assert tree(box.folder) == before


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of everything in a folder."""
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


# --- configuration ------------------------------------------------------------------------------------
def test_an_unknown_setting_is_named_and_nothing_else_is_called_ok(box: Any) -> None:
    box.path.write_text(box.path.read_text().replace("[vision]", "[vision]\nspeed = 9"))
    first, *rest = box.examine()
    names(first, "configuration", "unknown field `speed`", "correct that key")
    assert rest
    assert {each.result for each in rest} == {Result.NOT_CHECKED}


def test_a_configuration_that_others_may_change_is_named(box: Any) -> None:
    box.path.chmod(0o666)
    names(only_fault(box, "configuration"), "configuration", "others than its owner may change", "chmod go-w")


def test_a_room_whose_user_does_not_exist_is_named(box: Any) -> None:
    box.configure(vault='users = { vision = "vouchbox-nobody-knows" }')
    names(only_fault(box, "configuration"), "users", "vouchbox-nobody-knows", "systemd-sysusers")


# --- camera -------------------------------------------------------------------------------------------
def test_a_camera_that_is_not_plugged_in_is_named(box: Any) -> None:
    box.configure("webcam:0")
    fault = only_fault(box, "camera")
    names(fault, "camera-node", f"there is no {box.machine.dev / 'video0'}", "plug the camera in")
    frames = [each for each in box.examine("camera") if each.check == "camera-frames"]
    assert [each.result for each in frames] == [Result.NOT_CHECKED]


def test_a_camera_that_visions_user_may_not_use_is_named(box: Any) -> None:
    box.configure("webcam:0", vault='users = { vision = "nobody" }')
    vision = box.machine.account("vision", "nobody")
    closed = next(
        path
        for path in sorted(Path("/dev").iterdir())
        if stat.S_ISCHR(path.stat().st_mode) and not vision.allows(path.stat(), 6)
    )
    (box.machine.dev / "video0").symlink_to(closed)
    names(only_fault(box, "camera"), "camera-node", "nobody may not use", "group video")


def test_a_node_that_is_no_device_is_named(box: Any) -> None:
    box.configure("webcam:0")
    (box.machine.dev / "video0").write_text("")
    names(only_fault(box, "camera"), "camera-node", "is no device", "plug the camera in again")


@pytest.mark.parametrize(
    ("draw", "what", "fix"),
    [
        (lambda _: checks(), "repeats one frame", "plug it in again"),
        (lambda _: np.zeros((48, 64)), "sees only black", "lens cap"),
        (lambda index: np.full((48, 64), 100 + index), "covers the lens", "clean it"),
    ],
    ids=("frozen", "black", "covered"),
)
def test_a_camera_that_shows_nothing_new_is_named(
    box: Any, draw: Callable[[int], Any], what: str, fix: str, film: Callable[..., Path]
) -> None:
    box.configure(f"clip:{film('bad.avi', draw)}")
    names(only_fault(box, "camera"), "camera-frames", what, fix)


def checks() -> Any:
    rows, columns = np.mgrid[0:48, 0:64]
    return 40 + 160 * ((columns // 16 + rows // 16) % 2)


def test_a_clip_that_is_gone_is_named(box: Any) -> None:
    box.clip.unlink()
    names(only_fault(box, "camera"), "camera-frames", "clip", "")


# --- packages of the camera ------------------------------------------------------------------------------
CYTHON_CHECK = """
import numpy
expected = numpy.dtype.__basicsize__ + {other}
if numpy.dtype.__basicsize__ != expected:
    raise ValueError(
        "numpy.dtype size changed, may indicate binary incompatibility. "
        f"Expected {{expected}} from C header, got {{numpy.dtype.__basicsize__}} from PyObject"
    )
"""
"""What a module that Cython compiled against numpy's headers checks when it is imported."""


@pytest.fixture
def apt(box: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs system packages for the environment to see, simplejpeg built for another numpy by `other`."""

    def install(other: int = 0, **more: str) -> None:
        folder = box.folder / "dist-packages"
        folder.mkdir()
        texts = {"libcamera": "", "simplejpeg": CYTHON_CHECK.format(other=other), "picamera2": "", **more}
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        box.configure("picamera2")

    return install


def packages(box: Any) -> Finding:
    return next(each for each in box.examine("camera") if each.check == "camera-packages")


def test_a_system_package_for_another_numpy_is_named_and_one_that_fits_is_not(
    box: Any, apt: Callable[..., None]
) -> None:
    apt(other=8)
    names(packages(box), "camera-packages", "simplejpeg was built for another numpy", "whose numpy fits")
    (box.folder / "dist-packages" / "simplejpeg.py").write_text(CYTHON_CHECK.format(other=0))
    assert packages(box).result is Result.OK


def test_a_system_package_that_takes_its_process_down_is_named(box: Any, apt: Callable[..., None]) -> None:
    apt(libcamera="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    names(packages(box), "camera-packages", "crashed (SIGSEGV)", "install")


def test_a_libcamera_that_the_environment_hides_is_named(box: Any) -> None:
    box.configure("picamera2")
    finding = packages(box)
    assert finding.result is Result.FAULT
    assert "libcamera is not" in finding.what
    assert "python3-picamera2" in finding.fix


def test_a_pi_without_a_camera_or_its_memory_is_named(box: Any, apt: Callable[..., None]) -> None:
    apt()
    found = [each.what for each in box.faults("camera")]
    assert any("no camera" in what and "media0" in what for what in found)
    assert any("dma_heap is empty" in what for what in found)


# --- models -------------------------------------------------------------------------------------------
def test_a_model_with_one_changed_byte_is_named_and_not_run(box: Any) -> None:
    path = box.spoil_models() / "detector.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    names(only_fault(box, "models"), "models", "the detector model is not the one", "install vouchbox again")
    ran = next(each for each in box.examine("models") if each.check == "inference")
    assert ran.result is Result.NOT_CHECKED


def test_a_model_that_is_gone_is_named(box: Any) -> None:
    (box.spoil_models() / "liveness.tflite").unlink()
    names(only_fault(box, "models"), "models", "can't read the liveness model", "install vouchbox again")


def test_a_runtime_that_is_not_there_is_named(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOUCHBOX_RUNTIME", "abacus")
    names(only_fault(box, "models"), "inference", "no runtime 'abacus'", "choose one of")


# --- keys ---------------------------------------------------------------------------------------------
def test_a_key_that_others_may_read_is_named(box: Any) -> None:
    path = box.config.vault.keys / "seal.key"
    path.chmod(0o644)
    names(only_fault(box, "keys"), "keys", f"others may read {path} (mode 644)", f"chmod 600 {path}")


def test_a_tls_key_that_others_may_read_is_named(box: Any) -> None:
    box.config.uplink.key.chmod(0o640)
    names(only_fault(box, "keys"), "tls-key", "others may read", "chmod 600")


def test_a_box_without_keys_is_told_to_make_them(box: Any) -> None:
    shutil.rmtree(box.config.vault.keys)
    names(only_fault(box, "keys"), "keys", "this box has no keys", "vouchbox provision")


def test_a_lost_seal_key_is_named(box: Any) -> None:
    (box.config.vault.keys / "seal.key").unlink()
    names(only_fault(box, "keys"), "keys", "lacks seal.key", "restore")


def test_a_damaged_signing_key_is_named_and_not_shown(box: Any) -> None:
    path = box.config.vault.keys / "signing.jwk"
    path.write_text(path.read_text().replace('"d":"', '"d":"!'))
    fault = only_fault(box, "keys")
    names(fault, "keys", "no signing key", "vouchbox provision")
    assert json.loads(path.read_text())["d"][1:9] not in f"{fault}"


def test_a_token_that_is_there_signs_and_one_that_is_away_is_named(box: Any, softhsm: Any) -> None:
    keys, token = box.config.vault.keys, softhsm.config
    shutil.rmtree(keys)
    keys.mkdir(mode=0o700)
    (keys / "token.pin").write_text(softhsm.pin)
    (keys / "token.pin").chmod(0o600)
    provision.create_identity(keys, audience=box.config.box.audience, token=token)
    variables = "\n".join(f'{name} = "{value}"' for name, value in token.environment.items())

    def use(label: str) -> None:
        box.configure()
        section = f'[vault.token]\nmodule = "{token.module}"\nlabel = "{label}"\n'
        box.path.write_text(f"{box.path.read_text()}\n{section}\n[vault.token.environment]\n{variables}\n")

    use(token.label)
    (found,) = [each for each in box.examine("keys") if each.check == "keys"]
    assert found.result is Result.OK, found
    assert "in the token" in found.what
    use("elsewhere")
    names(only_fault(box, "keys"), "keys", "the token 'elsewhere'", "[vault.token]")


# --- clock --------------------------------------------------------------------------------------------
def test_a_clock_that_is_behind_the_audit_log_is_named(box: Any) -> None:
    store = Store(box.config.box.state)
    with store.transaction():
        audit.append(store, audit.Event.STARTED, int(time.time()) + 86_400, {})
    store.close()
    names(
        only_fault(box, "clock"),
        "clock",
        "before the last entry of the audit log",
        "timedatectl set-ntp true",
    )


def test_a_clock_that_is_behind_what_the_system_kept_is_named(box: Any) -> None:
    mark = box.folder / "clock"
    mark.touch()
    os.utime(mark, (time.time() + 3600,) * 2)
    box.on(clock_marks=(mark,))
    names(only_fault(box, "clock"), "clock", f"before the time kept in {mark}", "set it")


# --- memory -------------------------------------------------------------------------------------------
def test_swap_on_a_disk_is_named(box: Any) -> None:
    swaps = box.machine.proc / "swaps"
    swaps.write_text(f"{swaps.read_text()}/var/swap  file  102396  0  -2\n")
    names(only_fault(box, "memory"), "swap", "swap is on (/var/swap)", "swapoff -a")


def test_a_collector_of_core_dumps_is_warned_of(box: Any) -> None:
    pattern = box.machine.proc / "sys" / "kernel" / "core_pattern"
    pattern.write_text("|/usr/share/apport/apport -p%p -s%s\n")
    (found,) = [each for each in box.examine("memory") if each.check == "core-dumps"]
    assert found.result is Result.WARNING
    assert "apport" in found.what
    assert "kernel.core_pattern=core" in found.fix


# --- disk ---------------------------------------------------------------------------------------------
def test_a_full_disk_is_named(box: Any) -> None:
    state = box.config.box.state
    full = f"mount -t tmpfs -o size=4m none {state} && head -c 8m /dev/zero > {state}/full"
    doctor = f"{sys.executable} -m vouchbox doctor --only disk --json --config {box.path}"
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    done = subprocess.run(
        [*alone, "sh", "-c", f"{full} 2>/dev/null; chmod 700 {state}; exec {doctor}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr:
        pytest.skip(f"no mount of its own can be made here: {done.stderr.strip()}")
    faults = [each for each in json.loads(done.stdout)["findings"] if each["result"] == "fault"]
    assert done.returncode == 1
    assert len(faults) == 1, faults
    names(Finding(**{**faults[0], "result": Result.FAULT}), "disk", "is full (0 MiB left)", "free space")


def test_a_state_folder_that_the_vault_may_not_write_is_named(box: Any) -> None:
    state = box.config.box.state
    shutil.rmtree(state)
    state.write_text("")
    names(only_fault(box, "disk"), "state-folder", f"{state} is no folder", "move it away")


def test_a_state_folder_that_others_may_read_is_named(box: Any) -> None:
    box.config.box.state.chmod(0o755)
    names(only_fault(box, "disk"), "state-folder", "others may look into", "chmod 700")


def test_a_damaged_database_is_named(box: Any) -> None:
    path = box.config.box.state / FILE
    data = bytearray(path.read_bytes())
    data[100:] = os.urandom(len(data) - 100)
    path.write_bytes(data)
    assert only_fault(box, "disk").check == "database"


# --- relying parties ------------------------------------------------------------------------------------
def test_a_registration_without_one_field_of_the_notice_is_named(box: Any) -> None:
    text = box.registration.read_text()
    box.registration.write_text("\n".join(line for line in text.splitlines() if "alternative" not in line))
    fault = only_fault(box, "relying-parties")
    assert fault.check == "relying-parties"
    assert str(box.registration) in fault.what
    assert "alternative" in fault.what
    assert fault.fix


def test_a_registration_of_an_older_epoch_is_named(box: Any) -> None:
    party = registry.load_party(box.registration)
    store = Store(box.config.box.state)
    with store.transaction():
        epochs.settle(store, {party.id: dataclasses.replace(party, epoch=3)}, int(time.time()))
    store.close()
    names(only_fault(box, "relying-parties"), "epochs", "names epoch 1", "set epoch = 3")


# --- broker -------------------------------------------------------------------------------------------
def test_a_broker_that_is_away_is_named(box: Any) -> None:
    names(only_fault(box, "broker"), "broker", "nothing answers at 127.0.0.1:1", "start the broker")


@pytest.mark.mosquitto
def test_a_certificate_that_has_expired_is_named(box: Any, serve: Serve) -> None:
    serve()
    box.authority.client("box", f"{SITE}/{DEVICE}", expires=datetime.now(UTC) - timedelta(days=1))
    names(only_fault(box, "broker"), "broker", "of this box has expired", "issue a new one")


@pytest.mark.mosquitto
def test_a_certificate_for_another_box_is_named(box: Any, serve: Serve) -> None:
    serve()
    box.authority.client("box", f"{SITE}/box-2")
    names(only_fault(box, "broker"), "certificate", "so no broker authorises demo/box-1", "box.csr")


@pytest.mark.mosquitto
def test_a_broker_that_refused_the_last_message_is_named(box: Any, serve: Serve) -> None:
    serve()
    topic = f"{box.config.box.topic}/verdict"
    said = Published(row=1, reason_code=0x87, topic=topic, size=9, sha256="0" * 64)
    store = Store(box.config.box.state)
    egress.settle(store, said, int(time.time()))
    store.close()
    names(only_fault(box, "broker"), "broker", f"refused this box's last message, on {topic}", "ACL")


@pytest.mark.mosquitto
def test_a_certificate_that_the_broker_does_not_know_is_named(box: Any, serve: Serve, tmp_path: Path) -> None:
    serve()
    stranger = Authority(tmp_path / "other").client("box", f"{SITE}/{DEVICE}")
    shutil.copy(stranger.certificate, box.config.uplink.certificate)
    shutil.copy(stranger.key, box.config.uplink.key)
    names(
        only_fault(box, "broker"),
        "broker",
        "does not know the authority of this box's certificate",
        "issued by the broker's CA",
    )


@pytest.mark.mosquitto
def test_a_broker_of_another_name_is_named(box: Any, serve: Serve) -> None:
    serve("broker.example")
    names(only_fault(box, "broker"), "broker", "is for another name", "correct uplink.host")


@pytest.mark.mosquitto
def test_a_broker_of_an_unknown_authority_is_named(box: Any, serve: Serve, tmp_path: Path) -> None:
    serve(authority=Authority(tmp_path / "other"))
    names(only_fault(box, "broker"), "broker", "comes from an unknown authority", "uplink.ca")
