#include "transform/export/exported.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "eval/eval.h"
#include "ops/shape/shape.h"
#include "transform/export/free_sizes.h"

namespace lazulite {

namespace {

constexpr char magic[8] = {'L', 'A', 'Z', 'U', 'L', 'I', 'T', 'E'};
constexpr uint32_t version = 1;
constexpr size_t header_bytes = 40;
constexpr int64_t alignment = 64;
constexpr size_t kept_graphs = 64;

// FNV-1a over words of 64 bits, little-endian, the last one of each piece filled with zeros.
struct Checksum {
  uint64_t h = 0xcbf29ce484222325ull;
  void add(const char* bytes, size_t count) {
    for (size_t i = 0; i < count; i += 8) {
      uint64_t word = 0;
      std::memcpy(&word, bytes + i, std::min<size_t>(8, count - i));
      h = (h ^ word) * 0x100000001b3ull;
      h ^= h >> 29;
    }
  }
};

struct Bytes {
  std::string data;
  template <class T>
  void raw(const T& v) { data.append(reinterpret_cast<const char*>(&v), sizeof v); }
  void terms(const std::vector<Term>& list) {
    raw(uint32_t(list.size()));
    for (const Term& term : list) {
      raw(term.factor);
      raw(uint32_t(term.sizes.size()));
      for (int32_t k : term.sizes) raw(k);
    }
  }
  void token(const Token& t) {
    raw(uint8_t(t.kind));
    switch (t.kind) {
      case Token::integer: return raw(t.i);
      case Token::real: return raw(t.z.real());
      case Token::complex: return raw(t.z);
      case Token::text: raw(uint32_t(t.s.size())), data += t.s; return;
      case Token::formula:
      case Token::real_formula: return terms(t.terms);
      case Token::quotient: raw(t.z.real()); return terms(t.terms);
    }
  }
};

struct ByteReader {
  const std::string& data;
  size_t at, end;
  [[noreturn]] static void fail_short() {
    fail(Kind::format, "import_function", "the file is damaged: a token that is cut off");
  }
  template <class T>
  T raw() {
    if (end - at < sizeof(T)) fail_short();
    T v;
    std::memcpy(&v, data.data() + at, sizeof v);
    at += sizeof v;
    return v;
  }
  std::vector<Term> terms() {
    std::vector<Term> out;
    for (uint32_t n = raw<uint32_t>(); n > 0; --n) {
      Term term{raw<int64_t>(), {}};
      for (uint32_t k = raw<uint32_t>(); k > 0; --k) term.sizes.push_back(raw<int32_t>());
      out.push_back(std::move(term));
    }
    return out;
  }
  Token token() {
    Token t;
    t.kind = Token::Kind(raw<uint8_t>());
    switch (t.kind) {
      case Token::integer: t.i = raw<int64_t>(); break;
      case Token::real: t.z = raw<double>(); break;
      case Token::complex: t.z = raw<std::complex<double>>(); break;
      case Token::text: {
        const uint32_t n = raw<uint32_t>();
        if (end - at < n) fail_short();
        t.s = data.substr(at, n);
        at += n;
        break;
      }
      case Token::formula:
      case Token::real_formula: t.terms = terms(); break;
      case Token::quotient: t.z = raw<double>(), t.terms = terms(); break;
      default:
        fail(Kind::format, "import_function", "the file is damaged: a token of an unknown kind");
    }
    return t;
  }
};

int64_t padded(int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

}  // namespace

// ---- writing

void FunctionWriter::add(const Function& f, const ArrayList& examples, const Signature& signature) {
  const std::vector<Spec> specs = specs_of(examples);
  for (const Trace& t : traces_) {
    bool same = !shapeless_ && t.signature.positional == signature.positional &&
                t.signature.names == signature.names;
    for (size_t i = 0; same && i < specs.size(); ++i)
      same = t.specs[i].type == specs[i].type && t.specs[i].shape == specs[i].shape;
    if (same)
      fail(Kind::value, "export_function", "the function was exported for these arguments already");
  }
  Trace trace;
  trace.signature = signature;
  trace.specs = specs;
  FunctionGraph(f, specs, "export_function", {.merge = !shapeless_}).write(trace.graph, captured_);
  if (shapeless_) set_free(f, trace);
  traces_.push_back(std::move(trace));
}

void FunctionWriter::set_free(const Function& f, Trace& trace) const {
  auto traced = [&](const std::vector<Spec>& at) {
    Tokens tokens;
    ArrayList captured = captured_;
    FunctionGraph(f, at, "export_function", {.merge = false}).write(tokens, captured);
    if (captured.size() != captured_.size())
      fail(Kind::value, "export_function", "an array that the function makes anew in each call");
    return tokens;
  };
  auto same = [&](const Tokens& graph, const std::vector<int64_t>& sizes, const Tokens& wanted) {
    TokenReader reader(graph, sizes);
    Tokens read;
    ArrayList captured = captured_;
    FunctionGraph::read(reader, captured_, false)->write(read, captured);
    return read == wanted;
  };
  FreeSizes found = free_sizes(trace.specs, trace.graph, traced, same);
  trace.graph = std::move(found.graph);
  trace.fixed = std::move(found.fixed);
  trace.sizes = found.sizes;
  trace.excluded = std::move(found.excluded);
}

void FunctionWriter::save(const std::string& path) {
  ArrayList dense;
  for (const array& a : captured_) dense.push_back(contiguous(a));
  eval(dense);
  Tokens tokens;
  tokens.add(metadata_);
  tokens.add(int64_t(dense.size()));
  int64_t array_bytes = 0;
  for (const array& a : dense) {
    write_field(tokens, a.dtype());
    write_field(tokens, a.shape());
    array_bytes += padded(a.nbytes());
  }
  tokens.add(int64_t(traces_.size()));
  for (const Trace& t : traces_) {
    tokens.add(int64_t(t.signature.positional));
    tokens.add(int64_t(t.signature.names.size()));
    for (const std::string& name : t.signature.names) tokens.add(name);
    tokens.add(t.sizes);
    for (const auto& excluded : t.excluded) write_field(tokens, excluded);
    tokens.add(int64_t(t.fixed.size()));
    for (const std::string& why : t.fixed) tokens.add(why);
    tokens.add(int64_t(t.graph.size()));
    tokens.insert(tokens.end(), t.graph.begin(), t.graph.end());
  }
  Bytes body;
  for (const Token& t : tokens) body.token(t);
  const uint64_t token_bytes = body.data.size();
  body.data.resize(size_t(padded(int64_t(token_bytes))));
  std::ofstream out(path, std::ios::binary);
  if (!out && errno == ENOENT) fail(Kind::file, "export_function", "no such folder: ", path);
  const std::string nothing(std::max(header_bytes, size_t(alignment)), '\0');
  out.write(nothing.data(), std::streamsize(header_bytes));  // until the checksum is known
  Checksum sum;
  auto put = [&](const char* data, int64_t bytes) {
    out.write(data, std::streamsize(bytes));
    sum.add(data, size_t(bytes));
    const int64_t rest = padded(bytes) - bytes;
    out.write(nothing.data(), std::streamsize(rest));
    const int64_t words = (bytes + 7) / 8 * 8;  // the last word is filled by the sum itself
    sum.add(nothing.data(), size_t(padded(bytes) - words));
  };
  put(body.data.data(), int64_t(body.data.size()));
  for (array& a : dense) put(static_cast<const char*>(a.raw()), a.nbytes());
  Bytes header;
  header.data.append(magic, sizeof magic);
  header.raw(version);
  header.raw(uint32_t(0));
  header.raw(token_bytes);
  header.raw(uint64_t(array_bytes));
  header.raw(sum.h);
  out.seekp(0);
  out.write(header.data.data(), std::streamsize(header.data.size()));
  out.flush();
  if (!out) fail(Kind::file, "export_function", "cannot write to ", path);
}

// ---- reading

ImportedFunction::ImportedFunction(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    fail(Kind::file, "import_function", errno == ENOENT ? "no such file: " : "cannot open ", path);
  in.seekg(0, std::ios::end);
  const int64_t file_bytes = int64_t(in.tellg());
  in.seekg(0);
  std::string bytes(size_t(std::clamp<int64_t>(file_bytes, 0, int64_t(header_bytes))), '\0');
  in.read(bytes.data(), std::streamsize(bytes.size()));
  if (!in || bytes.size() < header_bytes || std::memcmp(bytes.data(), magic, sizeof magic) != 0)
    fail(Kind::format, "import_function", "not a file of export_function: ", path);
  ByteReader header{bytes, sizeof magic, header_bytes};
  const uint32_t written = header.raw<uint32_t>();
  if (written != version)
    fail(Kind::format, "import_function", "the file has another version of the format: got ",
         written, ", expected ", version, written > version ? "; a newer Lazulite reads it" : "");
  header.raw<uint32_t>();
  const uint64_t token_bytes = header.raw<uint64_t>(), array_bytes = header.raw<uint64_t>(),
                 expected = header.raw<uint64_t>();
  const uint64_t rest = uint64_t(file_bytes) - header_bytes;
  if (token_bytes > rest || array_bytes > rest ||
      uint64_t(padded(int64_t(token_bytes))) + array_bytes != rest)
    fail(Kind::format, "import_function", "the file is cut off: got ", file_bytes,
         " bytes, expected ", header_bytes + token_bytes + array_bytes, " or more");
  Checksum sum;
  auto take = [&](char* to, int64_t size) {
    in.read(to, std::streamsize(size));
    if (!in) fail(Kind::format, "import_function", "cannot read ", path);
    sum.add(to, size_t(size));
  };
  std::string body(size_t(padded(int64_t(token_bytes))), '\0');
  take(body.data(), int64_t(body.size()));

  Tokens tokens;
  for (ByteReader reader{body, 0, size_t(token_bytes)}; reader.at < reader.end;)
    tokens.push_back(reader.token());
  TokenReader reader(tokens);
  metadata_ = reader.text();
  int64_t left = int64_t(array_bytes);
  for (int64_t n = reader.count(); n > 0; --n) {
    const Dtype type = reader.dtype();
    const Shape shape = Field<Shape>::read(reader);
    if (!is_shape(shape, type)) fail(Kind::format, "import_function", "not a shape: got ", shape);
    const int64_t size = size_of(shape) * size_of(type);
    if (padded(size) > left)
      fail(Kind::format, "import_function", "the file is damaged: an array beyond its end");
    auto buffer = allocate(padded(size));  // the padding is part of the sum
    take(static_cast<char*>(buffer->data), padded(size));
    captured_.push_back(from_buffer(std::move(buffer), shape, type));
    left -= padded(size);
  }
  if (left != 0)
    fail(Kind::format, "import_function", "the file is damaged: more arrays than it names");
  if (sum.h != expected)
    fail(Kind::format, "import_function", "the file was altered: its checksum does not fit");
  int64_t traces = reader.count();
  if (traces == 0) fail(Kind::format, "import_function", "the file holds no function: ", path);
  for (; traces > 0; --traces) {
    Trace t;
    t.signature.positional = size_t(reader.count());
    for (int64_t k = reader.count(); k > 0; --k) t.signature.names.push_back(reader.text());
    t.sizes = reader.count(1 << 16);
    for (int64_t k = 0; k < t.sizes; ++k)
      t.excluded.push_back(Field<std::vector<int64_t>>::read(reader));
    for (int64_t k = reader.count(); k > 0; --k) t.fixed.push_back(reader.text());
    const int64_t length = reader.count(int64_t(tokens.size()));
    for (int64_t k = 0; k < length; ++k) t.graph.push_back(reader.token());
    TokenReader head(t.graph);
    const int64_t arguments = head.count(1 << 20);
    for (int64_t a = 0; a < arguments; ++a) {
      t.types.push_back(head.dtype());
      auto& shape = t.shapes.emplace_back();
      for (int64_t d = head.count(1 << 16); d > 0; --d) {
        shape.push_back(head.token());
        const Token& token = shape.back();
        const bool symbol = token.kind == Token::formula && token.terms.size() == 1 &&
                            token.terms[0].factor == 1 && token.terms[0].sizes.size() == 1 &&
                            token.terms[0].sizes[0] >= 0 && token.terms[0].sizes[0] < t.sizes;
        if (token.kind != Token::integer && !symbol)
          fail(Kind::format, "import_function", "the file is damaged: a size that is none");
      }
    }
    if (t.signature.positional + t.signature.names.size() != size_t(arguments))
      fail(Kind::format, "import_function",
           "the file is damaged: another number of arguments than its signature says");
    traces_.push_back(std::move(t));
    if (traces_.back().sizes == 0) graph(traces_.size() - 1, {});
  }
}

std::string ImportedFunction::Trace::print() const {
  std::ostringstream out;
  const char* comma = "";
  for (size_t a = 0; a < types.size(); ++a) {
    out << comma;
    if (a >= signature.positional) out << signature.names[a - signature.positional] << "=";
    out << types[a] << "(";
    for (size_t d = 0; d < shapes[a].size(); ++d) {
      if (d) out << ", ";
      if (shapes[a][d].kind == Token::integer) out << shapes[a][d].i;
      else out << "n" << shapes[a][d].terms[0].sizes[0];
    }
    out << ")";
    comma = ", ";
  }
  return out.str();
}

std::vector<std::string> ImportedFunction::signatures() const {
  std::vector<std::string> out;
  for (const Trace& t : traces_) out.push_back(t.print());
  return out;
}

bool ImportedFunction::fits(const Trace& t, const ArrayList& arguments, std::vector<int64_t>& sizes,
                            std::string& why) const {
  sizes.assign(size_t(t.sizes), -1);
  for (size_t a = 0; a < arguments.size(); ++a) {
    const Shape& shape = arguments[a].shape();
    if (arguments[a].dtype() != t.types[a] || shape.size() != t.shapes[a].size()) return false;
    for (size_t d = 0; d < shape.size(); ++d) {
      const Token& token = t.shapes[a][d];
      if (token.kind == Token::integer) {
        if (token.i == shape[d]) continue;
        const std::string place =
            "argument " + std::to_string(a) + ", axis " + std::to_string(d) + ": ";
        for (const std::string& reason : t.fixed)
          if (reason.rfind(place, 0) == 0) why = "; a fixed size: " + reason;
        return false;
      }
      const size_t symbol = size_t(token.terms[0].sizes[0]);
      if (sizes[symbol] >= 0 && sizes[symbol] != shape[d]) return false;
      sizes[symbol] = shape[d];
      const auto& excluded = t.excluded[symbol];
      if (std::find(excluded.begin(), excluded.end(), shape[d]) != excluded.end()) {
        why = "; n" + std::to_string(symbol) + " cannot be " + std::to_string(shape[d]) +
              ": the function does something else there";
        return false;
      }
    }
  }
  return true;
}

Ref<const FunctionGraph> ImportedFunction::graph(size_t trace,
                                                 const std::vector<int64_t>& sizes) const {
  const std::pair<size_t, std::vector<int64_t>> key{trace, sizes};
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const auto found = graphs_.find(key); found != graphs_.end()) return found->second;
  }
  TokenReader reader(traces_[trace].graph, sizes);
  const auto made = FunctionGraph::read(reader, captured_);
  if (!reader.done())
    fail(Kind::format, "import_function", "the file is damaged: more than a graph");
  const std::lock_guard<std::mutex> guard(mutex_);
  if (graphs_.size() >= kept_graphs) graphs_.erase(graphs_.begin());
  return graphs_[key] = made;
}

ArrayList ImportedFunction::operator()(
    const ArrayList& positional, const std::vector<std::pair<std::string, array>>& named) const {
  ArrayList arguments = positional;
  std::vector<std::string> names;
  for (const auto& [name, value] : named) {
    names.push_back(name);
    arguments.push_back(value);
  }
  std::string why;
  for (size_t t = 0; t < traces_.size(); ++t) {
    const Signature& s = traces_[t].signature;
    if (s.positional != positional.size() || s.names != names) continue;
    std::vector<int64_t> sizes;
    if (fits(traces_[t], arguments, sizes, why)) return (*graph(t, sizes))(arguments);
  }
  std::ostringstream got, expected;
  for (size_t a = 0; a < arguments.size(); ++a)
    got << (a ? ", " : "") << (a >= positional.size() ? names[a - positional.size()] + "=" : "")
        << arguments[a].dtype() << arguments[a].shape();
  for (size_t t = 0; t < traces_.size(); ++t)
    expected << (t ? " or " : "") << "(" << traces_[t].print() << ")";
  fail(Kind::value, "import_function", "no trace fits these arguments: got (", got.str(),
       "), expected ", expected.str(), why);
}

}  // namespace lazulite
