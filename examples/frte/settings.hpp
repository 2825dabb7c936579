// What a submission's configuration directory says: `clearlane.conf`, a line `name = value` for each setting, all of which may be
// left out; `#` begins a comment. The directory may hold models too: ONNX files, and a manifest.toml for those that this
// project does not know.
#ifndef CLEARLANE_FRTE_SETTINGS_HPP
#define CLEARLANE_FRTE_SETTINGS_HPP

#include <fstream>

#include "answer.hpp"

namespace frte {

struct Settings {
  clearlane::ExtractorOptions extractor;
  clearlane_search_mode mode = CLEARLANE_CERTIFIED;

  explicit Settings(const std::string &folder) {
    // The face in the foreground is meant, as NIST has it: the largest.
    extractor.models(folder).selection(CLEARLANE_LARGEST_FACE);
    std::ifstream file(folder + "/clearlane.conf");
    std::string line;
    for (std::size_t number = 1; std::getline(file, line); number++) {
      line = trimmed(line.substr(0, line.find('#')));
      const auto equals = line.find('=');
      if (line.empty()) continue;
      if (equals == std::string::npos || !set(trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)))) {
        throw Refusal(ReturnCode::ConfigError, "clearlane.conf:" + std::to_string(number) + ": not a setting: " + line);
      }
    }
  }

 private:
  bool set(const std::string &name, const std::string &value) {
    if (name == "detector") return extractor.detector(value), true;
    if (name == "embedder") return extractor.embedder(value), true;
    if (name == "smallest-face") return extractor.smallest_face(std::stof(value)), true;
    if (name == "orientation" && value == "given") return extractor.orientation(CLEARLANE_AS_GIVEN), true;
    if (name == "orientation" && value == "auto") return extractor.orientation(CLEARLANE_ANY_WAY), true;
    if (name == "flip" && value == "yes") return extractor.flags(CLEARLANE_FLIP), true;
    if (name == "flip" && value == "no") return extractor.flags(0), true;
    if (name == "mode" && value == "certified") return mode = CLEARLANE_CERTIFIED, true;
    if (name == "mode" && value == "exhaustive") return mode = CLEARLANE_EXHAUSTIVE, true;
    if (name == "mode" && value == "sketch") return mode = CLEARLANE_SKETCH, true;
    return false;
  }

  static std::string trimmed(const std::string &text) {
    const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
    return first == std::string::npos ? std::string() : text.substr(first, last - first + 1);
  }
};

}  // namespace frte

#endif
