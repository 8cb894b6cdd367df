"""conan_recipe.py SOURCE WORK COMPILER EIGEN_INCLUDE: runs the Conan recipe with stand-ins for what it imports of Conan,
which do what Conan's documentation says they do, looks at the package, and builds and runs the test package against it.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import types

source, work, compiler, eigen = sys.argv[1:5]
recipes = os.path.join(source, "docs", "packaging", "conan")


def copy(conanfile, pattern, src, dst):
    """As Conan's: the files below src whose path from there fits the pattern, to the same path below dst."""
    for folder, _, names in os.walk(src):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), src)
            if fnmatch.fnmatch(path, pattern):
                target = os.path.join(dst, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(os.path.join(src, path), target)


def load(conanfile, path):
    with open(path) as file:
        return file.read()


def check_min_cppstd(conanfile, least):
    conanfile.least_cppstd = int(least)


class CMake:
    def __init__(self, conanfile):
        self.conanfile = conanfile

    def configure(self):
        subprocess.run(["cmake", "-S", self.conanfile.source_folder, "-B", self.conanfile.build_folder,
                        "-DCMAKE_CXX_COMPILER=" + compiler, "-DCMAKE_PREFIX_PATH=" + self.conanfile.generators_folder],
                       check=True)

    def build(self):
        subprocess.run(["cmake", "--build", self.conanfile.build_folder], check=True)


class CppInfo:
    def __init__(self):
        self.includedirs, self.libdirs, self.bindirs = ["include"], ["lib"], ["bin"]
        self.properties = {}

    def set_property(self, name, value):
        self.properties[name] = value


class ConanFile:
    version = None

    def __init__(self, recipe_folder):
        self.recipe_folder = recipe_folder
        self.folders = types.SimpleNamespace(root=None, source="", build="")
        self.cpp = types.SimpleNamespace(build=types.SimpleNamespace(bindir="."))
        self.cpp_info = CppInfo()
        self.info = types.SimpleNamespace(is_cleared=False)
        self.info.clear = lambda: setattr(self.info, "is_cleared", True)
        self.requirement_list = []

    def requires(self, reference, **traits):
        self.requirement_list.append((reference, traits))

    def run(self, command, env=None):
        subprocess.run(command, shell=True, check=True, cwd=self.build_folder)


def module(name, **members):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(members)


module("conan", ConanFile=ConanFile)
module("conan.tools")
module("conan.tools.build", check_min_cppstd=check_min_cppstd, can_run=lambda conanfile: True)
module("conan.tools.files", copy=copy, load=load)
module("conan.tools.cmake", CMake=CMake, cmake_layout=lambda conanfile: None)


def recipe_of(folder):
    """The recipe in a folder's conanfile.py."""
    path = os.path.join(folder, "conanfile.py")
    names = {}
    exec(compile(load(None, path), path, "exec"), names)
    (recipe,) = [value for value in names.values()
                 if isinstance(value, type) and issubclass(value, ConanFile) and value is not ConanFile]
    return recipe(folder)


def check(holds, sentence):
    if not holds:
        sys.exit("conan_recipe.py: " + sentence)


shutil.rmtree(work, ignore_errors=True)
recipe = recipe_of(recipes)
recipe.export_sources_folder = recipe.source_folder = os.path.join(work, "sources")
recipe.package_folder = os.path.join(work, "package")
for method in ("set_version", "export_sources", "layout", "requirements", "validate", "package_id", "package",
               "package_info"):
    getattr(recipe, method)()

version = re.search('QAF_VERSION "(.*)"', load(None, os.path.join(source, "include", "qaf", "version.hpp"))).group(1)
check(recipe.version == version, f"the recipe has the version {recipe.version}, the header {version}")
check(recipe.least_cppstd == 17 and recipe.info.is_cleared, "the recipe must ask for C++17 and make one package for all")
check([(reference.split("/")[0], traits) for reference, traits in recipe.requirement_list]
      == [("eigen", {"transitive_headers": True})], f"must need Eigen alone, got {recipe.requirement_list}")


def files(folder, ending):
    return sorted(os.path.relpath(os.path.join(place, name), folder)
                  for place, _, names in os.walk(folder) for name in names if name.endswith(ending))


headers = files(os.path.join(source, "include"), ".hpp")
check(len(headers) > 50 and files(os.path.join(recipe.package_folder, "include"), "") == headers,
      "the package must have every header and nothing else in its include folder")
check(files(os.path.join(recipe.package_folder, "licenses"), "") == ["LICENSE"], "the package must have the license")
check(recipe.cpp_info.libdirs == [] and recipe.cpp_info.bindirs == [], "there are no libraries and programs")
check(recipe.cpp_info.properties["pkg_config_name"] == "qaf", "must be qaf to pkg-config")

# What CMakeDeps makes of the package.
test = recipe_of(os.path.join(recipes, "test_package"))
test.source_folder = test.recipe_folder
test.build_folder = os.path.join(work, "test_package")
test.generators_folder = os.path.join(work, "generators")
test.tested_reference_str = f"qaf/{version}"
os.makedirs(test.generators_folder)
target = recipe.cpp_info.properties["cmake_target_name"]
folders = [os.path.join(recipe.package_folder, folder) for folder in recipe.cpp_info.includedirs] + [eigen]
config = os.path.join(test.generators_folder, recipe.cpp_info.properties["cmake_file_name"] + "Config.cmake")
with open(config, "w") as file:
    file.write(f'add_library({target} INTERFACE IMPORTED)\n'
               f'target_include_directories({target} INTERFACE "{";".join(folders)}")\n')
for method in ("requirements", "layout", "build", "test"):
    getattr(test, method)()
check(test.requirement_list == [(f"qaf/{version}", {})], "the test package must need the package")
