// The table of functions, as the tests and tools see it.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind/def.h"
#include "bind/module.h"
#include "device/cpu/guarded.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/reduce/kernels.h"
#include "ops/elementwise/elementwise.h"

namespace py = pybind11;

namespace lazulite::bind {

// Every function with samples, and every elementwise row: what the table tests loop over.
void add_op_table(py::module_& m) {
  m.def("_table", [] {
    py::list out;
    for (auto& [module, functions] : all_functions())
      for (auto& d : functions.rows) {
        py::dict row;
        row["module"] = module;
        row["name"] = d.name();
        row["signature"] = d.signature;
        row["doc"] = d.doc;
        py::list cases;
        for (auto& c : d.samples) cases.append(c);
        row["cases"] = cases;
        py::list large;
        for (auto& c : d.beyond) large.append(c);
        row["large"] = large;
        row["reference"] = d.reference;
        row["method"] = d.is_method;
        row["types"] = py::cast(d.types);
        row["arity"] = d.arity;
        row["others"] = py::cast(d.others);
        row["same_bits_in_any_layout"] = d.any_layout;
        if (d.op) {
          const auto& family = *static_cast<const ElementwiseFamily*>(d.op->family);
          py::list types;
          for (int i = 0; i < dtype_count; ++i)
            if (family.row.types.has(Dtype(i))) types.append(name_of(Dtype(i)));
          row["operands"] = family.operands;
          row["dtypes"] = types;
          row["low"] = family.row.lo;
          row["high"] = family.row.hi;
          row["ulp"] = family.row.ulp;
          row["differentiable"] = bool(d.op->vjp);
        }
        out.append(row);
      }
    return out;
  });
  // Where work is cut: what the cases name.
  m.def("_limits", [] {
    return std::map<std::string, int64_t>{
        {"block", block_size},   {"chunk", chunk_size},   {"grain", grain},
        {"tile", tile_columns},  {"inner", inner_block},  {"lanes", engine::reduce_lanes},
        {"tree", engine::reduce_chunk}, {"long", engine::long_sum}, {"panel", inner_panel},
        {"packed", packed_steps}, {"dots", dot_steps},     {"sweep", sweep_steps}};
  });
  m.def("_set_least_cost", &cpu::set_least_cost);
  // Where memory of arrays has pages without access: "end", "start" or "none"; where it had.
  m.def("_set_guard", [](const std::string& side) {
    return cpu::name_of(cpu::set_guard(cpu::guard_named(side)));
  });
}

}  // namespace lazulite::bind
