// The extension: lazulite.core._core.
#include "bind/module.h"
#include "bind/tree_walk.h"

#include <cmath>
#include <limits>

#include "bind/array_class.h"
#include "base/env.h"
#include "bind/def.h"
#include "device/cpu/features.h"
#include "device/cpu/guarded.h"
#include "device/cpu/openblas.h"
#include "device/cpu/pool.h"
#include "eval/pending.h"
#include "eval/eval.h"

namespace py = pybind11;

namespace {

// Every variable is read once, so that what is wrong with it is said at import.
void check_environment() {
  namespace env = lazulite::env;
  lazulite::cpu::features();
  lazulite::cpu::num_threads();
  lazulite::cpu::cached_bytes();
  lazulite::default_plan_width();
  for (const char* name : {"LAZULITE_DEBUG_VMAP", "LAZULITE_FUSE", "LAZULITE_DONATE",
                           "LAZULITE_MACHINE_CODE"})
    env::flag(name);
  lazulite::get_pending_limit();
  if (const auto side = env::choice("LAZULITE_GUARD", {"none", "end", "start"}))
    lazulite::cpu::set_guard(lazulite::cpu::guard_named(*side));
  if (env::text("LAZULITE_OPENBLAS").value_or("none") != "none") lazulite::cpu::blas();
  for (const std::string& complaint : env::complaints())
    if (PyErr_WarnEx(PyExc_RuntimeWarning, complaint.c_str(), 1) < 0) throw py::error_already_set();
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  using namespace lazulite::bind;
  m.doc() = "The core of Lazulite. Import lazulite.core instead.";
  make_errors(m.ptr());
  add_dtypes(m);
  if (!make_array_type(m.ptr())) throw py::error_already_set();
  add_devices(m);
  add_trees(m);
  add_tree_walks(m);
  add_evaluation(m);
  add_transforms(m);
  add_exchange(m);
  add_parameters(m);
  add_compiled(m);
  add_exported(m);
  add_files(m);
  add_foreign(m);
  add_functions(m.ptr());
  add_indexing(m);
  add_random_state(m);
  add_op_table(m);
  // For the Python part of the package; complaints are warnings of check_environment.
  m.def("_environment_flag", [](const char* name) { return lazulite::env::flag(name); });
  m.def("_environment_integer", [](const char* name, int64_t otherwise, int64_t least) {
    return lazulite::env::integer(name, least).value_or(otherwise);
  });
  m.def("_check_environment", check_environment);
  m.attr("pi") = M_PI;
  m.attr("e") = M_E;
  m.attr("euler_gamma") = 0.57721566490153286;
  m.attr("inf") = std::numeric_limits<double>::infinity();
  m.attr("nan") = std::numeric_limits<double>::quiet_NaN();
  m.attr("newaxis") = py::none();
}
