// The attributes of scan, and what scan.cpp, scan_back.cpp and before_loop.cpp share. transform/
// only.
#pragma once
#include "transform/control_flow/bodies.h"

namespace lazulite::bodies {

struct Scan final : OwnAttrs {
  GraphRef body;  // (carry..., x..., constant...) -> (carry..., y...)
  int64_t length;
  bool reverse;
  size_t carries, xs;  // how many; the other inputs are constants
  // On a tape that is walked backward the last y are what `back` wants besides:
  size_t shown;   // outputs before them
  GraphRef back;  // (cotangents of the outputs shown..., x..., constant..., kept...) -> those of
                  // the inputs...; of the inexact ones, or with `integers` of all
  bool integers = false;
  mutable Steppers plans;
  void print(std::ostream& out) const override {
    out << "length=" << length << ", reverse=" << (reverse ? "true" : "false");
  }
  bool write(Tokens& out) const override {
    for (int64_t v : {length, int64_t(reverse), int64_t(carries), int64_t(xs)}) out.add(v);
    write_body(*body, out);
    return true;
  }
};
inline const Scan& scan_of(const Node& node) {
  return static_cast<const Scan&>(*node.attributes);
}

// The way back: rules of the op.
size_t keep_scan(AttrsRef& attributes, const Arrays&);
Arrays vjp_scan(const Node& node, const Arrays& cotangents, const Needs& needs);

// What a body computes of its slices alone, in products, is computed of all slices at once; gives
// the rest of the body, and exchanges `xs` and `constants` for what that reads.
GraphRef before_loop(GraphRef body, ArrayList& xs, size_t carries, ArrayList& constants,
                     int64_t length);

}  // namespace lazulite::bodies
