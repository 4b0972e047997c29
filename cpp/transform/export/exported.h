// Functions in files: traced graphs with the arrays that they captured. docs/function-files.md
// describes the format. Reading one never runs code: ops are looked up by name, and whatever does
// not fit raises.
#pragma once
#include <map>
#include <mutex>
#include <string>

#include "transform/function_graph.h"

namespace lazulite {

// One way to call a function: arguments by position, then by name (sorted).
struct Signature {
  size_t positional = 0;
  std::vector<std::string> names;
};

// Collects traces of a function and writes them. With `shapeless`, sizes of the arguments may
// differ from those of the examples wherever the function allows it: sizes that are equal and must
// be stay equal, others that the function needs stay fixed; raises, naming the op, when something
// depends on a size in no simple way.
class FunctionWriter {
 public:
  explicit FunctionWriter(bool shapeless = false, std::string metadata = {})
      : shapeless_(shapeless), metadata_(std::move(metadata)) {}
  void add(const Function& f, const ArrayList& examples, const Signature& signature);
  void save(const std::string& path);  // evaluates what was captured

 private:
  struct Trace {
    Signature signature;
    std::vector<Spec> specs;         // of the examples
    Tokens graph;
    std::vector<std::string> fixed;  // why sizes are fixed: "argument 0, axis 1: ..."
    int64_t sizes = 0;               // how many are free
    std::vector<std::vector<int64_t>>
        excluded;  // of each: small ones at which the function does something else
  };
  void set_free(const Function& f, Trace& trace) const;  // sizes, in its graph

  bool shapeless_;
  std::string metadata_;
  std::vector<Trace> traces_;
  ArrayList captured_;
};

// A function read from a file: its traces, as lists of arrays. Any thread.
class ImportedFunction {
 public:
  explicit ImportedFunction(const std::string& path);
  const std::string& metadata() const { return metadata_; }
  std::vector<std::string> signatures()
      const;  // "float32(n0, 3), y=float32(3)": sizes with letters are free
  // Named arguments sorted by name. Raises when no trace fits, saying what would.
  ArrayList operator()(const ArrayList& positional,
                       const std::vector<std::pair<std::string, array>>& named = {}) const;

 private:
  struct Trace {
    Signature signature;
    std::vector<Dtype> types;
    std::vector<std::vector<Token>> shapes;  // numbers, or one size each
    Tokens graph;
    std::vector<std::string> fixed;
    int64_t sizes = 0;
    std::vector<std::vector<int64_t>> excluded;
    std::string print() const;
  };
  bool fits(const Trace&, const ArrayList&, std::vector<int64_t>& sizes, std::string& why) const;
  Ref<const FunctionGraph> graph(size_t trace, const std::vector<int64_t>& sizes) const;

  std::string metadata_;
  std::vector<Trace> traces_;
  ArrayList captured_;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<size_t, std::vector<int64_t>>, Ref<const FunctionGraph>> graphs_;
};

// The graph of tokens whose numbers differ between traces at several sizes, as formulas of the
// sizes: every number at every place. Raises, naming the op. `sizes[k]` are those of trace k.
Tokens fit_formulas(const std::vector<Tokens>& traces,
                    const std::vector<std::vector<int64_t>>& sizes);

}  // namespace lazulite
