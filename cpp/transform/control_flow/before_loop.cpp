// What leaves the body of a scan: products of slices alone (x @ w, not of the carry) are made of
// all slices at once, before the loop, and what nothing reads any more is not an input of the loop.
#include "transform/control_flow/scan.h"

namespace lazulite::bodies {

namespace {

using Operand = FunctionGraph::Operand;
using Step = FunctionGraph::Step;

constexpr int64_t much = 8;  // what is made may have so many times the bytes of xs

// The values that come of products and depend on no carry.
std::vector<char> products_of_slices(const FunctionGraph& body, size_t carries) {
  const std::vector<char> of_carry = followers(body, std::vector<char>(carries, 1));
  std::vector<char> heavy(body.values(), 0);
  for (const Step& step : body.steps()) {
    bool product = bool(step.op->flops), own = !step.op->barrier;
    for (const Operand& o : step.in)
      if (o.value >= 0) product |= bool(heavy[o.value]), own &= !of_carry[o.value];
    for (size_t k = 0; k < step.specs.size(); ++k) heavy[step.first + int64_t(k)] = product && own;
  }
  return heavy;
}

// Those of them that the rest of the body reads.
std::vector<Operand> read_by_the_rest(const FunctionGraph& body, const std::vector<char>& heavy) {
  std::vector<char> wanted(body.values(), 0);
  auto want = [&](const Operand& o) {
    if (o.value >= 0 && heavy[o.value]) wanted[o.value] = 1;
  };
  for (const Step& step : body.steps()) {
    bool stays = false;
    for (size_t k = 0; k < step.specs.size(); ++k) stays |= !heavy[step.first + int64_t(k)];
    if (stays)
      for (const Operand& o : step.in) want(o);
  }
  for (const Operand& o : body.outputs()) want(o);
  std::vector<Operand> made;
  for (int64_t v = 0; v < body.values(); ++v)
    if (wanted[v]) made.push_back({v, {}});
  return made;
}

int64_t bytes_of(const std::vector<Spec>& specs, size_t from, size_t until) {
  int64_t bytes = 0;
  for (size_t i = from; i < until; ++i) bytes += size_of(specs[i].shape) * size_of(specs[i].type);
  return bytes;
}

// The body without what it does not read; its inputs in `xs` and `constants` go as well.
GraphRef without_unread(const FunctionGraph& body, ArrayList& xs, size_t carries,
                        ArrayList& constants) {
  std::vector<char> read(body.values(), 0);
  auto note = [&](const Operand& o) {
    if (o.value >= 0) read[o.value] = 1;
  };
  for (const Step& step : body.steps())
    for (const Operand& o : step.in) note(o);
  for (const Operand& o : body.outputs()) note(o);
  std::vector<int64_t> arguments = value_range(0, int64_t(carries));
  ArrayList rows, fixed;
  for (size_t i = 0; i < xs.size() + constants.size(); ++i) {
    if (!read[carries + i]) continue;
    arguments.push_back(int64_t(carries + i));
    if (i < xs.size()) rows.push_back(xs[i]);
    else fixed.push_back(constants[i - xs.size()]);
  }
  xs = std::move(rows);
  constants = std::move(fixed);
  return body.part(arguments, body.outputs());
}

}  // namespace

GraphRef before_loop(GraphRef body, ArrayList& xs, size_t carries, ArrayList& constants,
                     int64_t length) {
  const int64_t n = int64_t(body->arguments()), first_x = int64_t(carries),
                first_constant = first_x + int64_t(xs.size());
  const auto made = read_by_the_rest(*body, products_of_slices(*body, carries));
  if (made.empty()) return without_unread(*body, xs, carries, constants);
  const GraphRef products = body->part(value_range(first_x, n), made);
  if (bytes_of(products->output_specs(), 0, made.size()) >
      much * bytes_of(body->argument_specs(), carries, size_t(first_constant)))
    return without_unread(*body, xs, carries, constants);
  Axes axes, found;
  for (int64_t i = first_x; i < n; ++i) axes.push_back(i < first_constant ? 0 : -1);
  const ArrayList rows = lanes_of(*products, joined({&xs, &constants}), axes, found);

  std::vector<int64_t> arguments = value_range(0, first_constant);
  for (size_t i = 0; i < made.size(); ++i) {
    arguments.push_back(made[i].value);
    xs.push_back(lane_first(rows[i], found[i], length));
  }
  for (int64_t i = first_constant; i < n; ++i) arguments.push_back(i);
  return without_unread(*body->part(arguments, body->outputs()), xs, carries, constants);
}

}  // namespace lazulite::bodies
