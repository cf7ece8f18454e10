"""losskit for Conan 2, from the repository that this file lies in: `conan create packaging/conan`."""
import re
from pathlib import Path

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy
from conan.tools.layout import basic_layout


class Losskit(ConanFile):
    name = "losskit"
    description = "Loss functions for recognition: header-only C++20, analytic gradients"
    license = "MIT"
    topics = ("loss", "face-recognition", "arcface", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def _root(self):
        return Path(self.recipe_folder).parent.parent

    def set_version(self):
        text = (self._root() / "include/losskit/core/version.hpp").read_text()
        self.version = ".".join(re.search(rf"LOSSKIT_VERSION_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR", "PATCH"))

    def export(self):
        copy(self, "version.hpp", self._root() / "include/losskit/core", Path(self.export_folder) / "include/losskit/core")

    def export_sources(self):
        for pattern in ("include/*", "LICENSE"):
            copy(self, pattern, self._root(), self.export_sources_folder)

    def layout(self):
        basic_layout(self)

    def validate(self):
        check_min_cppstd(self, 20)

    def package(self):
        copy(self, "LICENSE", self.source_folder, Path(self.package_folder) / "licenses")
        copy(self, "*", Path(self.source_folder) / "include", Path(self.package_folder) / "include")

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
