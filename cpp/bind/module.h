// What each unit of the extension adds to the module.
#pragma once
#include <pybind11/pybind11.h>

namespace lazulite::bind {

void add_dtypes(pybind11::module_&);      // dtypes.cpp
void add_devices(pybind11::module_&);     // devices.cpp: devices, streams
void add_evaluation(pybind11::module_&);  // evaluation.cpp: eval, memory, threads, files' helpers
void add_transforms(pybind11::module_&);  // transforms.cpp
void add_exchange(pybind11::module_&);    // exchange.cpp: containers of arguments of transforms
void add_parameters(pybind11::module_&);  // parameters.cpp: of modules, for nn and optimizers
void add_compiled(pybind11::module_&);    // compiled.cpp
void add_exported(pybind11::module_&);    // exported.cpp
void add_files(pybind11::module_&);       // files.cpp
void add_foreign(pybind11::module_&);     // foreign.cpp
void add_indexing(pybind11::module_&);    // indexing.cpp: at
void add_random_state(pybind11::module_&);  // random_state.cpp
void add_op_table(pybind11::module_&);    // table.cpp: what the tests loop over

}  // namespace lazulite::bind
