// Who is enrolled. Finalising makes two files of NIST's EDB and manifest: all templates that are not blank one after the other,
// and their names, one a line. Searches read both once; afterwards the directory is not touched.
#ifndef CLEARLANE_FRTE_ENROLMENT_HPP
#define CLEARLANE_FRTE_ENROLMENT_HPP

#include <algorithm>
#include <cstring>
#include <fstream>
#include <unordered_map>

#include "faces.hpp"

namespace frte {

inline std::string templates_path(const std::string &folder) { return folder + "/clearlane.templates"; }
inline std::string names_path(const std::string &folder) { return folder + "/clearlane.names"; }

// Templates that are read and inserted together: few enough to cost little memory beside the gallery.
constexpr std::size_t AT_ONCE = 1 << 14;

// Of 4096 values.
constexpr std::uint64_t LONGEST = 32 + 4 * 4096;

// What the bytes of a template say of its model.
inline clearlane_model model_of(const Bytes &bytes) {
  auto model = CLEARLANE_INIT(clearlane_model);
  if (bytes.size() <= sizeof model.id) throw Refusal(ReturnCode::TemplateFormatError, "not a template");
  std::memcpy(model.id, bytes.data(), sizeof model.id);
  model.template_length = bytes.size();
  model.dimension = (bytes.size() - sizeof model.id) / 4;
  return model;
}

// Offsets and lengths have 64 bits: an EDB has more bytes than 32 can count.
inline void finalise(const std::string &folder, const std::string &edb_path, const std::string &manifest_path) {
  std::ifstream edb(edb_path, std::ios::binary), manifest(manifest_path);
  if (!edb || !manifest) throw Refusal(ReturnCode::InputLocationError, "cannot open the EDB or its manifest");
  std::ofstream templates(templates_path(folder), std::ios::binary), names(names_path(folder));
  std::string name;
  std::uint64_t length = 0, offset = 0;
  Bytes first, bytes;
  while (manifest >> name) {
    if (!(manifest >> length >> offset)) throw Refusal(ReturnCode::ParseError, name + ": expected a length and an offset");
    if (length == 0) continue;
    // Before memory is taken for it.
    const std::uint64_t expected = first.empty() ? std::min(length, LONGEST) : first.size();
    if (length != expected) throw Refusal(ReturnCode::TemplateFormatError, name + ": a template of another length");
    bytes.resize(length);
    edb.seekg(static_cast<std::streamoff>(offset));
    if (!edb.read(reinterpret_cast<char *>(bytes.data()), static_cast<std::streamsize>(length))) {
      throw Refusal(ReturnCode::InputLocationError, name + ": beyond the EDB's end");
    }
    if (first.empty()) first = bytes;
    // What is no template, or one of another model, is found here, not when the gallery is opened.
    clearlane::compare(first, bytes);
    templates.write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(length));
    names << name << '\n';
  }
  templates.close(), names.close();
  if (!templates || !names) throw Refusal(ReturnCode::EnrollDirError, "cannot write to the enrolment directory");
}

// The gallery and its names: entry `number` of the gallery is `names_[number]`.
class Enrolment {
 public:
  void open(const std::string &folder, clearlane_search_mode mode) {
    mode_ = mode;
    std::ifstream names(names_path(folder)), templates(templates_path(folder), std::ios::binary | std::ios::ate);
    if (!names || !templates) throw Refusal(ReturnCode::EnrollDirError, "no finalised enrolment in " + folder);
    for (std::string name; std::getline(names, name);) names_.push_back(name);
    const auto size = static_cast<std::uint64_t>(templates.tellg());
    if (names_.empty()) return;
    const std::uint64_t length = size / names_.size();
    if (length * names_.size() != size || length > LONGEST) throw Refusal(ReturnCode::EnrollDirError, "names and templates do not belong together");
    templates.seekg(0);
    std::vector<std::uint64_t> numbers;
    Bytes bytes;
    for (std::size_t first = 0; first < names_.size(); first += AT_ONCE) {
      const std::size_t count = std::min(AT_ONCE, names_.size() - first);
      numbers.resize(count), bytes.resize(count * length);
      if (!templates.read(reinterpret_cast<char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()))) {
        throw Refusal(ReturnCode::EnrollDirError, "cannot read the templates");
      }
      for (std::size_t at = 0; at < count; at++) numbers[at] = first + at;
      if (!gallery_) {
        make(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)));
        gallery_->reserve(names_.size());
      }
      gallery_->insert(numbers, numbers, bytes);
    }
  }

  std::vector<clearlane_candidate> search(const Bytes &probe, std::size_t most) const {
    if (!gallery_ || most == 0) return {};
    // There are no more, however many are asked for.
    return gallery_->search(probe, std::min(most, names_.size()));
  }

  const std::string &name(std::uint64_t number) const { return names_.at(number); }

  // A blank template is no entry.
  void insert(const Bytes &bytes, const std::string &name) {
    if (numbers().count(name) > 0) throw Refusal(ReturnCode::VendorError, name + " is enrolled already");
    if (bytes.empty()) return;
    if (!gallery_) make(bytes);
    const std::uint64_t number = names_.size();
    gallery_->insert(number, number, bytes);
    names_.push_back(name);
    numbers_.emplace(name, number);
  }

  void remove(const std::string &name) {
    const auto found = numbers().find(name);
    if (found == numbers_.end()) throw Refusal(ReturnCode::VendorError, name + " is not enrolled");
    gallery_->remove(found->second);
    numbers_.erase(found);
  }

 private:
  // Without CLEARLANE_PARALLEL: one thread, and none started.
  void make(const Bytes &first) { gallery_.emplace(model_of(first), mode_); }

  // By name. Searches do not need it: it is made for the first change.
  std::unordered_map<std::string, std::uint64_t> &numbers() {
    if (!numbered_) {
      for (std::size_t number = 0; number < names_.size(); number++) numbers_.emplace(names_[number], number);
      numbered_ = true;
    }
    return numbers_;
  }

  clearlane_search_mode mode_ = CLEARLANE_CERTIFIED;
  std::optional<clearlane::Gallery> gallery_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint64_t> numbers_;
  bool numbered_ = false;
};

}  // namespace frte

#endif
