// The extension: lazulite.core._core.
#include "bind/module.h"

#include <cmath>
#include <limits>

#include "bind/array_class.h"
#include "bind/def.h"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
  using namespace lazulite::bind;
  m.doc() = "The core of Lazulite. Import lazulite.core instead.";
  make_errors(m.ptr());
  add_dtypes(m);
  if (!make_array_type(m.ptr())) throw py::error_already_set();
  add_devices(m);
  add_evaluation(m);
  add_transforms(m);
  add_compiled(m);
  add_exported(m);
  add_functions(m.ptr());
  add_indexing(m);
  add_random_state(m);
  add_op_table(m);
  m.attr("pi") = M_PI;
  m.attr("e") = M_E;
  m.attr("euler_gamma") = 0.57721566490153286;
  m.attr("inf") = std::numeric_limits<double>::infinity();
  m.attr("nan") = std::numeric_limits<double>::quiet_NaN();
  m.attr("newaxis") = py::none();
}
