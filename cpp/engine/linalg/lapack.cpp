#include "engine/linalg/lapack.h"

#include <atomic>
#include <string>

namespace lazulite::engine::linalg {
namespace {

// Names without the letter of the dtype; those of complex dtypes where they differ.
struct Names {
  const char *of_reals, *of_complex;
};
constexpr Names names[routine_count] = {
    {"getrf_", "getrf_"}, {"potrf_", "potrf_"}, {"geqrf_", "geqrf_"},
    {"orgqr_", "ungqr_"}, {"gesdd_", "gesdd_"}, {"syevd_", "heevd_"}, {"geev_", "geev_"},
    {"trsm", "trsm"},     {"gemm", "gemm"}};
std::atomic<void*> found[routine_count][4];

}  // namespace

void* find_routine(const char* op, Routine routine, int which) {
  std::atomic<void*>& place = found[routine][which];
  void* f = place.load(std::memory_order_acquire);
  if (f) return f;
  const std::string plain = which < 2 ? names[routine].of_reals : names[routine].of_complex;
  const std::string name = (plain.back() == '_' ? "" : "cblas_") + ("sdcz"[which] + plain);
  f = cpu::blas_symbol(name.c_str());
  if (!f)
    fail(Kind::linalg, op, "needs LAPACK's ", name,
         ", which the package scipy-openblas32 has: got ", cpu::blas_status());
  place.store(f, std::memory_order_release);
  return f;
}

}  // namespace lazulite::engine::linalg
