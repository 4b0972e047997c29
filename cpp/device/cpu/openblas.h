// OpenBLAS, opened at first use and used with one thread per call: the tiles are ours.
//
// Looked for in this order: the path in LAZULITE_OPENBLAS ("none": use no OpenBLAS at all), the
// hint, libscipy_openblas.so and libopenblas.so.0 by name. A library that runs kernels for far
// older processors than this one (Debian's 0.3.21 on new machines) is opened again with the right
// core type, and refused if that does not help.
#pragma once

#include <string>

namespace lazulite::cpu {

// The C interface of BLAS, column- or row-major by the first argument (row 101, column 102; no
// transposition 111, transposed 112, conjugated and transposed 113). Complex scalars go by pointer.
struct Blas {
  void (*sgemm)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
  void (*dgemm)(int order, int trans_a, int trans_b, int m, int n, int k, double alpha,
                const double* a, int lda, const double* b, int ldb, double beta, double* c,
                int ldc);
  void (*cgemm)(int order, int trans_a, int trans_b, int m, int n, int k, const void* alpha,
                const void* a, int lda, const void* b, int ldb, const void* beta, void* c, int ldc);
  void (*zgemm)(int order, int trans_a, int trans_b, int m, int n, int k, const void* alpha,
                const void* a, int lda, const void* b, int ldb, const void* beta, void* c, int ldc);
  void (*sgemv)(int order, int trans, int m, int n, float alpha, const float* a, int lda,
                const float* x, int incx, float beta, float* y, int incy);
  void (*dgemv)(int order, int trans, int m, int n, double alpha, const double* a, int lda,
                const double* x, int incx, double beta, double* y, int incy);
  const char* corename;  // the kernels that it runs, for instance "SkylakeX"
  const char* path;      // the file or name that was opened
};

// Where the Python package found the library. Counts until one has been opened.
void set_openblas_hint(std::string path);

// Null where there is none. Any thread may call; a failed attempt is repeated only after a new
// hint. The first call sets environment variables around the opening, about 1 ms: make it when
// nobody else uses the environment (in Python: while holding the GIL).
const Blas* blas();

// What blas() opened, or why it opened nothing: for error texts.
std::string blas_status();

// A symbol of the opened library by its plain name ("dgetrf_"), prefix added; null if missing.
void* blas_symbol(const char* name);

}  // namespace lazulite::cpu
