// Device, Stream and the context manager.
#include <pybind11/operators.h>
#include <pybind11/pybind11.h>

#include "bind/array_class.h"
#include "bind/def.h"
#include "bind/module.h"
#include "device/cpu/features.h"
#include "eval/eval.h"

namespace py = pybind11;

namespace lazulite::bind {

namespace {

std::string type_name(Device::Type t) { return t == Device::cpu ? "cpu" : "gpu"; }
std::string show(const Device& d) {
  return "Device(" + type_name(d.type) + ", " + std::to_string(d.index) + ")";
}
std::string show(const Stream& s) {
  return "Stream(" + show(Device{s.device, 0}) + ", " + std::to_string(s.id) + ")";
}

std::optional<Device> as_device(py::handle o) {
  if (py::isinstance<Device>(o)) return o.cast<Device>();
  if (py::isinstance<Device::Type>(o)) return Device{o.cast<Device::Type>(), 0};
  return std::nullopt;
}
Device wanted(py::handle o, const char* op) {
  auto d = as_device(o);
  if (!d)
    fail(Kind::type, op, "not a device: got ", Py_TYPE(o.ptr())->tp_name,
         ", expected mx.cpu or a Device");
  return *d;
}
Stream checked(const Device& d) {
  if (!is_available(d.type))
    fail(Kind::value, "stream", "no such device on this machine: got ", show(d), ", expected cpu");
  return default_stream(d.type);
}

struct Context {
  Stream stream, before{};
};

template <class T>
PyObject* object(T&& value) { return py::cast(std::forward<T>(value)).release().ptr(); }
PyObject* another(PyObject* d) {
  return object(new_stream(checked(wanted(d, "new_stream")).device));
}

void add_rows(Functions& m) {
  m.def("stream(s)",
        [](Stream s) { return object(Context{s}); },
        "A context manager that makes a stream (or a device's default stream) this thread's "
        "default.\n\n"
        ">>> with mx.stream(mx.cpu):\n"
        "...     a = mx.ones(2)");
  m.def("default_device()",
        [] { return object(default_device()); },
        "The device on which arrays are computed unless told otherwise.\n\n"
        ">>> mx.default_device()\n"
        "Device(cpu, 0)");
  m.def("set_default_device(device)",
        [](PyObject* d) {
              set_default_device(wanted(d, "set_default_device"));
            },
        "Sets the default device. ValueError when the machine has no such device.\n\n"
        ">>> mx.set_default_device(mx.cpu)");
  m.def("default_stream(device)",
        [](PyObject* d) { return object(checked(wanted(d, "default_stream"))); },
        "The default stream of a device.\n\n"
        ">>> mx.default_stream(mx.cpu)\n"
        "Stream(Device(cpu, 0), 0)");
  m.def("set_default_stream(stream)",
        [](Stream s) {
              set_default_stream(s);
            },
        "Makes a stream this thread's default.\n\n"
        ">>> mx.set_default_stream(mx.default_stream(mx.cpu))");
  m.def("new_stream(device)",
        another,
        "A new stream on a device.\n\n"
        ">>> mx.new_stream(mx.cpu).device\n"
        "Device(cpu, 0)");
  m.def("new_thread_local_stream(device)",
        another,
        "The same as new_stream: streams are valid in every thread.\n\n"
        ">>> mx.new_thread_local_stream(mx.cpu).device\n"
        "Device(cpu, 0)");
  m.def("new_thread_unsafe_stream(device)",
        another,
        "The same as new_stream.\n\n"
        ">>> mx.new_thread_unsafe_stream(mx.cpu).device\n"
        "Device(cpu, 0)");
  m.def("clear_streams()",
        [] { },
        "Does nothing: streams cost nothing until they are used.\n\n"
        ">>> mx.clear_streams()");
  m.def("synchronize(stream=None)",
        [](Stream s) {
              synchronize(s);
            },
        "Waits for all work queued on a stream (default: this thread's).\n\n"
        ">>> mx.synchronize()");
  m.def("device_count(device_type)",
        [](PyObject* d) { return object(device_count(wanted(d, "device_count").type)); },
        "The number of devices of a type.\n\n"
        ">>> mx.device_count(mx.cpu)\n"
        "1");
  m.def("is_available(device)",
        [](PyObject* d) { return is_available(wanted(d, "is_available").type); },
        "True when the machine has the device.\n\n"
        ">>> mx.is_available(mx.gpu)\n"
        "False");
  m.def("device_info(d=None)",
        [](PyObject* d) {
              if (d != Py_None) checked(wanted(d, "device_info"));
              py::dict info;
              info["device_name"] = cpu::cpu_name();
              info["architecture"] = cpu::level_name();
              info["cores"] = cpu::usable_cores();
              info["memory_size"] = cpu::usable_memory();
              info["l2_cache_size"] = cpu::cache_sizes().l2;
              info["l3_cache_size"] = cpu::cache_sizes().l3;
              return info.release().ptr();
            },
        "Facts about a device: device_name, architecture (the instruction-set level in use), "
        "cores, memory_size (bytes).\n\n"
        ">>> mx.device_info()['cores'] >= 1\n"
        "True");
}
const Register rows{add_rows};

}  // namespace

PyObject* from_device(Device::Type t) { return py::cast(Device{t, 0}).release().ptr(); }

Stream to_stream(PyObject* o, const Argument& at) {
  if (o == Py_None) return default_stream();
  if (py::isinstance<Stream>(o)) {
    const Stream s = py::handle(o).cast<Stream>();
    if (!is_available(s.device))
      fail(Kind::value, "stream", "no such device on this machine: got ", show(s));
    return s;
  }
  if (auto d = as_device(o)) return checked(*d);
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
           py::arg("type"), py::arg("index") = 0, "__init__($self, type, index=0)\n--\n\nA device.")
      .def_property_readonly("type", [](const Device& d) { return d.type; })
      .def("__eq__",
           [](const Device& d, py::object o) {
             auto other = as_device(o);
             return other && *other == d;
           })
      .def("__hash__", [](const Device& d) { return int(d.type) * 64 + d.index; })
      .def("__repr__", [](const Device& d) { return show(d); });
  py::class_<Stream>(m, "Stream", "A queue of work on a device; valid in every thread.")
      .def_property_readonly("device", [](const Stream& s) { return Device{s.device, 0}; })
      .def("__eq__",
           [](const Stream& s, py::object o) {
             return py::isinstance<Stream>(o) && o.cast<Stream>() == s;
           })
      .def("__hash__", [](const Stream& s) { return int(s.device) * 4096 + int(s.id); })
      .def("__repr__", [](const Stream& s) { return show(s); });
  m.attr("ThreadLocalStream") = m.attr("Stream");
  py::class_<Context>(m, "StreamContext",
                      "with mx.stream(s): the default stream of this thread inside the block.")
      .def(py::init([](py::object s) { return Context{to_stream(s.ptr())}; }), py::arg("s"),
           "__init__($self, s)\n--\n\nFor a stream or device.")
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
