"""Conan 2 recipe: conan create docs/packaging/conan"""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class QafConan(ConanFile):
    name = "qaf"
    description = "Quantization-aware tensor factorization on Eigen"
    license = "MIT"
    topics = ("tensor", "quantization", "cp-decomposition", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._root(), "include", "qaf", "version.hpp"))
        self.version = re.search(r'#define QAF_VERSION "([^"]+)"', header).group(1)

    def export_sources(self):
        copy(self, "LICENSE", self._root(), self.export_sources_folder)
        copy(self, "*.hpp", os.path.join(self._root(), "include"), os.path.join(self.export_sources_folder, "include"))

    def layout(self):
        self.folders.root = os.path.join("..", "..", "..")
        self.folders.source = "."

    def requirements(self):
        self.requires("eigen/[>=3.4 <6]", transitive_headers=True)

    def validate(self):
        check_min_cppstd(self, 17)

    def package_id(self):
        self.info.clear()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*.hpp", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "qaf")
        self.cpp_info.set_property("cmake_target_name", "qaf::qaf")
        self.cpp_info.set_property("pkg_config_name", "qaf")
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
