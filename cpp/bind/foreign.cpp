// Kernels from outside, for core/_kernels.py.
#include <pybind11/pybind11.h>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"
#include "ops/foreign/foreign.h"

namespace py = pybind11;

namespace lazulite::bind {
namespace {

struct Foreign {
  Ref<const ForeignFunction> function;
};

py::list call(const Foreign& f, const py::list& inputs, const py::tuple& sizes, int64_t units,
              const py::list& shapes, const py::list& dtypes, bool dense, const py::object& before,
              const py::object& stream) {
  const char* const name = f.function->name.c_str();
  ForeignCall attributes;
  attributes.function = f.function;
  attributes.sizes = From<Shape>::of(sizes.ptr(), name);
  attributes.units = units;
  attributes.dense = dense;
  if (!before.is_none()) attributes.before = From<Scalar>::of(before.ptr(), name);
  for (size_t i = 0; i < shapes.size(); ++i) {
    const Dtype type = From<Dtype>::of(py::object(dtypes[i]).ptr(), name);
    attributes.outputs.push_back(Spec{From<Shape>::of(py::object(shapes[i]).ptr(), name), type});
    if (attributes.before) attributes.before->check_fits(type, name);
  }
  Arrays in;
  for (const py::handle a : inputs) in.push_back(From<array>::of(a.ptr(), name));
  py::list out;
  for (array& a : foreign(attributes, std::move(in), From<Stream>::of(stream.ptr(), name)))
    out.append(py::reinterpret_steal<py::object>(wrap(std::move(a))));
  return out;
}

}  // namespace

void add_foreign(py::module_& m) {
  py::class_<Foreign>(m, "_Foreign")
      .def(py::init([](std::string name, uintptr_t address) {
        return Foreign{Ref<const ForeignFunction>(
            new ForeignFunction(std::move(name), reinterpret_cast<ForeignKernel>(address)))};
      }))
      .def("__call__", call);
}

}  // namespace lazulite::bind
