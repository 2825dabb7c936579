#!/bin/sh
# Installs the shared library, the headers and the files for pkg-config and CMake under a prefix:
#   install.sh PREFIX LIBRARY, such as install.sh /usr/local target/release/libclearlane_capi.so
set -eu
if [ $# -ne 2 ]; then echo "usage: $0 PREFIX LIBRARY" >&2; exit 2; fi
here=$(dirname "$0") prefix=$1 library=$2
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../../Cargo.toml" | head -n 1)

mkdir -p "$prefix/lib/pkgconfig" "$prefix/lib/cmake/clearlane" "$prefix/include"
cp "$library" "$prefix/lib/libclearlane_capi.so.1"
ln -sf libclearlane_capi.so.1 "$prefix/lib/libclearlane_capi.so"
cp "$here/include/clearlane.h" "$here/include/clearlane.hpp" "$prefix/include/"
fill() { sed -e "s|@prefix@|$prefix|g" -e "s|@version@|$version|g" "$1"; }
fill "$here/clearlane.pc.in" > "$prefix/lib/pkgconfig/clearlane.pc"
fill "$here/cmake/clearlaneConfig.cmake.in" > "$prefix/lib/cmake/clearlane/clearlaneConfig.cmake"
