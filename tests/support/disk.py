# SPDX-License-Identifier: Apache-2.0
"""A disk that is really full."""
import os
import subprocess


class Disk:
    """A small file system at `folder`, which is made. Mounting takes rights: `mounted`, or `why_not`."""

    def __init__(self, folder, size):
        self.folder, self.ballast = folder, folder / "ballast"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "kourou-test", str(folder)],
                              capture_output=True, text=True, check=False)
        self.mounted, self.why_not = done.returncode == 0, done.stderr.strip()

    def fill(self, leave=0):
        """Takes all space but `leave` bytes."""
        with open(self.ballast, "ab", buffering=0) as file:
            for size in (65536, 4096, 512, 1):
                try:
                    while True:
                        file.write(b"b" * size)
                except OSError:
                    pass
        if leave:
            os.truncate(self.ballast, max(0, self.ballast.stat().st_size - leave))

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def remount(self, how):
        """"ro" or "rw"."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
            self.mounted = False
