"""Builds the extension with CMake; everything else stands in pyproject.toml."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    def build_extension(self, ext):
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(
            os.environ.get(
                "LAZULITE_BUILD_DIR",
                ROOT / "build" / f"py{sys.version_info[0]}{sys.version_info[1]}",
            )
        )
        build.mkdir(parents=True, exist_ok=True)
        configure = [
            "cmake",
            "-S",
            str(ROOT),
            "-B",
            str(build),
            "-DLAZULITE_PYTHON=ON",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DLAZULITE_EXTENSION_DIR={target}",
            *os.environ.get("LAZULITE_CMAKE_ARGS", "").split(),
        ]
        if not getattr(self, "editable_mode", False):  # a wheel without names of its own functions
            configure.append("-DCMAKE_MODULE_LINKER_FLAGS=-s")
        if shutil.which("ninja"):
            configure += ["-G", "Ninja"]
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(len(os.sched_getaffinity(0))))
        subprocess.run(configure, check=True)
        subprocess.run(
            ["cmake", "--build", str(build), "--target", "_core", "-j", jobs], check=True
        )


setup(
    ext_modules=[Extension("lazulite.core._core", sources=[])], cmdclass={"build_ext": CMakeBuild}
)
