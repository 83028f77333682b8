"""An ARM64 system for emulation: Debian packages and wheels, fetched and unpacked without being installed."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

GLIBC = range(17, 42)  # manylinux tags that wheels for glibc-based ARM64 systems carry
APT = {
    "APT::Sandbox::User": "", "APT::Install-Recommends": "false", "Acquire::Languages": "none", "Debug::NoLocking": "1",
    "APT::Update::Post-Invoke": "", "APT::Update::Post-Invoke-Success": "",
}  # fmt: skip


def run(command, **settings) -> str:
    """Run a command; its output, or the end of this program with what it said."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **settings)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        sys.exit(f"{' '.join(map(str, command[:3]))} ...: failed with status {done.returncode}: {' '.join(said)}")
    return done.stdout


def mirror() -> str:
    """The address of the Debian mirror that this machine's apt uses."""
    addresses = run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    ).split()
    plain = [uri for uri in addresses if "security" not in uri]
    if not plain:
        sys.exit("apt-get indextargets names no Debian mirror; run apt-get update on a Debian machine first")
    return plain[0]


def fetch_packages(folder: Path, architecture: str, release: str, names) -> Path:
    """Debian packages of an architecture with all that they depend on, unpacked.

    Args:
        folder: for lists, packages and the unpacked tree.
        architecture: Debian's name, "arm64".
        release: of Debian, "bookworm".
        names: of packages.

    Returns:
        The folder that stands for that system's root.
    """
    state, root = folder / f"apt-{architecture}", folder / f"root-{architecture}"
    if (root / ".complete").exists():
        return root
    for part in ("lists/partial", "archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "status").write_text("")  # as if nothing were installed
    (state / "sources.list").write_text(f"deb {mirror()} {release} main\n")
    settings = APT | {
        "APT::Architecture": architecture, "APT::Architectures": architecture, "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status", "Dir::Cache": state, "Dir::Cache::archives": state / "archives",
        "Dir::Etc::sourcelist": state / "sources.list", "Dir::Etc::sourceparts": "-",
    }  # fmt: skip
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    run(["apt-get", *options, "-qq", "update"])
    run(["apt-get", *options, "-qq", "-y", "--download-only", "install", *names])
    root.mkdir(exist_ok=True)
    for package in sorted((state / "archives").glob("*.deb")):
        run(["dpkg-deb", "-x", package, root])
    shutil.rmtree(state)
    (root / ".complete").touch()
    return root


def fetch_wheel(folder: Path, requirement: str, version: str) -> Path:
    """A wheel for ARM64, unpacked.

    Args:
        folder: for wheels.
        requirement: as pip takes it, one package and its version.
        version: of the ARM64 Python, "3.11".
    """
    place = folder / f"{requirement.replace('==', '-')}-cp{version.replace('.', '')}"
    if not place.exists():
        wheels = folder / f"{place.name}.download"
        platforms = [word for n in GLIBC for word in ("--platform", f"manylinux_2_{n}_aarch64")]
        command = ["pip", "download", "--no-deps", "--only-binary", ":all:", "--python-version", version]
        run([sys.executable, "-m", *command, *platforms, "--platform", "any", "-d", wheels, requirement])
        (wheel,) = wheels.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(wheels / "unpacked")
        os.replace(wheels / "unpacked", place)
        shutil.rmtree(wheels)
    return place


def metadata_version(place: Path) -> str:
    """The version in an unpacked wheel."""
    (info,) = place.glob("*.dist-info")
    return info.name.removesuffix(".dist-info").partition("-")[2]
