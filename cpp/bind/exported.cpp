// Functions in files, for core/_export.py.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bind/array_class.h"
#include "bind/module.h"
#include "bind/transforms.h"
#include "transform/export/exported.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

py::object from_token(const Token& t) {
  switch (t.kind) {
    case Token::real: return py::float_(t.z.real());
    case Token::complex: return py::cast(t.z);
    case Token::text: return py::str(t.s);
    default: return py::int_(t.i);
  }
}

py::tuple from_spec(const Spec& spec) {
  py::tuple shape(spec.shape.size());
  for (size_t i = 0; i < spec.shape.size(); ++i) shape[i] = py::int_(spec.shape[i]);
  return py::make_tuple(shape, py::reinterpret_steal<py::object>(from_dtype(spec.type)));
}

// (arguments, steps, outputs): values by number, captured arrays as themselves.
py::tuple describe(const FunctionGraph& graph) {
  auto operand = [](const FunctionGraph::Operand& o) -> py::object {
    if (o.value >= 0) return py::int_(o.value);
    return py::reinterpret_steal<py::object>(wrap(o.captured));
  };
  py::list arguments, steps, outputs;
  for (const Spec& spec : graph.argument_specs()) arguments.append(from_spec(spec));
  for (const auto& step : graph.steps()) {
    Tokens tokens;
    py::list in, out, given;
    if (step.attributes && step.attributes->write(tokens))
      for (const Token& t : tokens) given.append(from_token(t));
    for (const auto& o : step.in) in.append(operand(o));
    for (size_t k = 0; k < step.specs.size(); ++k)
      out.append(py::make_tuple(step.first + int64_t(k), from_spec(step.specs[k])));
    steps.append(py::make_tuple(step.op->name, in, out, given));
  }
  for (const auto& o : graph.outputs()) outputs.append(operand(o));
  return py::make_tuple(arguments, steps, outputs);
}

}  // namespace

void add_exported(py::module_& m) {
  m.def("_describe_graph", [](py::object fun, py::list examples) {
    return describe(FunctionGraph(flat(fun), specs_of(from_list(examples)), "export_function"));
  });
  py::class_<FunctionWriter>(m, "_FunctionWriter")
      .def(py::init<bool, std::string>())
      .def("add",
           [](FunctionWriter& w, py::object fun, py::list examples, size_t positional,
              std::vector<std::string> names) {
             w.add(flat(fun), from_list(examples), {positional, std::move(names)});
           })
      .def("save", &FunctionWriter::save);
  py::class_<ImportedFunction>(m, "_ImportedFunction")
      .def(py::init<std::string>())
      .def("metadata", &ImportedFunction::metadata)
      .def("signatures", &ImportedFunction::signatures)
      .def("call", [](const ImportedFunction& f, py::list positional,
                      std::vector<std::string> names, py::list values) {
        const ArrayList arrays = from_list(values);
        std::vector<std::pair<std::string, array>> named;
        for (size_t i = 0; i < names.size(); ++i) named.emplace_back(names[i], arrays[i]);
        return to_list(f(from_list(positional), named));
      });
}

}  // namespace lazulite::bind
