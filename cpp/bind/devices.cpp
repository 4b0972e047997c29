// Device, Stream and the context manager.
#include <pybind11/operators.h>
#include <pybind11/pybind11.h>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"
#include "device/facts.h"
#include "eval/eval.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

std::string type_name(Device::Type t) { return t == Device::cpu ? "cpu" : "gpu"; }
std::optional<Device> as_device(py::handle o) {
  if (py::isinstance<Device>(o)) return o.cast<Device>();
  if (py::isinstance<Device::Type>(o)) return Device{o.cast<Device::Type>(), 0};
  return std::nullopt;
}
struct Context {
  Stream stream, before{};
};

const Register rows{[](Functions& m) {
  m.def(
      "stream(s)", [](Stream s) { return py::cast(Context{s}).release().ptr(); },
      "A context manager that makes a stream (or a device's default stream) this thread's "
      "default.\n\n"
      ">>> with mx.stream(mx.cpu):\n"
      "...     a = mx.ones(2)");
}};

}  // namespace

PyObject* from_device(Device::Type t) { return py::cast(Device{t, 0}).release().ptr(); }

Device From<Device>::of(PyObject* o, const Argument& at) {
  const auto d = as_device(o);
  if (!d)
    fail(Kind::type, at.function, "not a device: got ", Py_TYPE(o)->tp_name,
         ", expected mx.cpu or a Device");
  return *d;
}
PyObject* to_py(const Device& d) { return py::cast(d).release().ptr(); }
PyObject* to_py(const Stream& s) { return py::cast(s).release().ptr(); }
PyObject* to_py(const Facts& facts) {
  py::dict out;
  for (const auto& [name, fact] : facts)
    std::visit([&out, key = name](const auto& value) { out[key] = value; }, fact);
  return out.release().ptr();
}

Stream to_stream(PyObject* o, const Argument& at) {
  if (o == Py_None) return default_stream();
  if (py::isinstance<Stream>(o)) {
    const Stream s = py::handle(o).cast<Stream>();
    if (!is_available(s.device))
      fail(Kind::value, "stream", "no such device on this machine: got ", show(s));
    return s;
  }
  if (auto d = as_device(o)) return stream_of(*d);
  wrong_kind(o, at, "a Stream, a Device or None");
}

void add_devices(py::module_& m) {
  py::options options;
  options.disable_function_signatures();
  py::enum_<Device::Type> type(m, "DeviceType", "Kinds of devices: cpu and gpu.");
  type.value("cpu", Device::cpu).value("gpu", Device::gpu).export_values();
  type.attr("__module__") = "lazulite.core";
  type.attr("__repr__") = py::cpp_function(
      [](Device::Type t) { return "DeviceType." + type_name(t); }, py::is_method(type));
  type.attr("__eq__") = py::cpp_function([](Device::Type t, py::object o) {
    auto d = as_device(o);
    return d && *d == Device{t, 0};
  }, py::is_method(type));
  py::class_<Device>(m, "Device", "A device: Device(type, index=0).")
      .def(py::init([](py::object type, py::object index) {
             if (!py::isinstance<Device::Type>(type))
               wrong_kind(type.ptr(), {"Device", "type"}, "mx.cpu or mx.gpu");
             return Device{type.cast<Device::Type>(),
                           From<int>::of(index.ptr(), {"Device", "index"})};
           }),
           py::arg("type"), py::arg("index") = 0, "__init__(self, type, index=0)\n--\n\nA device.")
      .def_property_readonly("type", [](const Device& d) { return d.type; })
      .def("__eq__",
           [](const Device& d, py::object o) {
             auto other = as_device(o);
             return other && *other == d;
           })
      .def("__hash__", [](const Device& d) { return int(d.type) * 64 + d.index; })
      .def("__reduce__",
           [](const Device& d) {
             return py::make_tuple(py::type::of<Device>(), py::make_tuple(d.type, d.index));
           })
      .def("__repr__", [](const Device& d) { return show(d); });
  py::class_<Stream>(m, "Stream", "A queue of work on a device; valid in every thread.")
      .def_property_readonly("device", [](const Stream& s) { return Device{s.device, 0}; })
      .def("__eq__",
           [](const Stream& s, py::object o) {
             return py::isinstance<Stream>(o) && o.cast<Stream>() == s;
           })
      .def("__hash__", [](const Stream& s) { return int(s.device) * 4096 + int(s.id); })
      .def("__copy__", [](const Stream& s) { return s; })  // a value: no pickle, as it is this
      .def("__deepcopy__", [](const Stream& s, py::handle) { return s; })  // process's own
      .def("__repr__", [](const Stream& s) { return show(s); });
  m.attr("ThreadLocalStream") = m.attr("Stream");
  py::class_<Context>(m, "StreamContext",
                      "with mx.stream(s): the default stream of this thread inside the block.")
      .def(py::init([](py::object s) { return Context{to_stream(s.ptr())}; }), py::arg("s"),
           "__init__(self, s)\n--\n\nFor a stream or device.")
      .def("__enter__",
           [](Context& c) {
             c.before = default_stream();
             set_default_stream(c.stream);
           })
      .def(
          "__exit__",
          [](Context& c, py::object, py::object, py::object) { set_default_stream(c.before); },
          py::arg("exc_type") = py::none(), py::arg("exc_value") = py::none(),
          py::arg("traceback") = py::none(),
          "__exit__($self, exc_type=None, exc_value=None, traceback=None)\n--\n\nBack to the "
          "stream before.");
}

}  // namespace lazulite::bind
