// From NIST's images to templates and eyes.
#ifndef CLEARLANE_FRTE_FACES_HPP
#define CLEARLANE_FRTE_FACES_HPP

#include <array>
#include <cmath>
#include <optional>

#include "settings.hpp"

namespace frte {

using Bytes = std::vector<std::uint8_t>;
using Images = std::vector<FRVT::Image>;
using Eyes = std::vector<FRVT::EyePair>;

// The most people that one image gives templates of: a crowd must not take for ever.
constexpr std::size_t MOST_PEOPLE = 100;

inline clearlane_frame frame_of(const FRVT::Image &image) {
  if (image.depth != 8 && image.depth != 24) throw Refusal(ReturnCode::RefuseInput, "expected 8 or 24 bits a pixel");
  const std::size_t bytes = image.depth / 8u;
  return clearlane::frame(bytes == 3 ? CLEARLANE_RGB8 : CLEARLANE_GRAY8, image.width, image.height, bytes * image.width,
                          image.data.get(), bytes * image.width * image.height);
}

// A landmark of the upright picture as a point of the image.
inline std::array<float, 2> in_image(const clearlane_face &face, std::size_t landmark, const FRVT::Image &image) {
  const float u = face.landmarks[2 * landmark], v = face.landmarks[2 * landmark + 1];
  const float right = static_cast<float>(image.width) - 1, bottom = static_cast<float>(image.height) - 1;
  switch (face.rotation) {
    case CLEARLANE_CLOCKWISE_90: return {v, bottom - u};
    case CLEARLANE_CLOCKWISE_180: return {right - u, bottom - v};
    case CLEARLANE_CLOCKWISE_270: return {right - v, u};
    default: return {u, v};
  }
}

inline FRVT::EyePair eyes_of(const clearlane_face &face, const FRVT::Image &image) {
  FRVT::EyePair eyes;
  const auto assign = [&](std::size_t landmark, bool &assigned, std::uint16_t &x, std::uint16_t &y) {
    const auto [u, v] = in_image(face, landmark, image);
    assigned = u >= 0 && v >= 0 && u < static_cast<float>(image.width) && v < static_cast<float>(image.height);
    if (assigned) x = static_cast<std::uint16_t>(u), y = static_cast<std::uint16_t>(v);
  };
  // The subject's left eye is the one on the right of the picture.
  assign(1, eyes.isLeftAssigned, eyes.xleft, eyes.yleft);
  assign(0, eyes.isRightAssigned, eyes.xright, eyes.yright);
  return eyes;
}

// An extractor for as long as the process runs. Opened before the fork; it starts no thread.
class Faces {
 public:
  ReturnStatus open(const std::string &config) {
    return answer(ReturnCode::ConfigError, [&] { extractor_.emplace(Settings(config).extractor); });
  }

  // One template for the images of one person; without any face it is blank: of 0 bytes.
  ReturnStatus person(const Images &images, Bytes &bytes, Eyes &eyes) const {
    bytes.clear();
    eyes.assign(images.size(), FRVT::EyePair());
    return answer(ReturnCode::ExtractError, [&] {
      if (images.empty()) throw Refusal(ReturnCode::NumDataError, "no image");
      std::vector<Bytes> captures;
      std::optional<ReturnStatus> failure;
      for (std::size_t index = 0; index < images.size(); index++) {
        const auto status = answer(ReturnCode::ExtractError, [&] {
          const auto found = open_extractor().extract(frame_of(images[index]));
          eyes[index] = eyes_of(found.face, images[index]);
          captures.push_back(found.bytes);
        });
        if (status.code != ReturnCode::Success && !failure) failure = status;
      }
      if (captures.empty()) throw Refusal(failure->code, failure->info);
      bytes = captures.size() == 1 ? captures.front() : clearlane::mean(captures);
    });
  }

  // A template for each person in an image, the largest face first; without any face there is one, which is blank.
  ReturnStatus people(const FRVT::Image &image, std::vector<Bytes> &templates, Eyes &eyes) const {
    templates.clear(), eyes.clear();
    const auto status = answer(ReturnCode::ExtractError, [&] {
      for (const auto &found : open_extractor().extract_all(frame_of(image), MOST_PEOPLE)) {
        templates.push_back(found.bytes);
        eyes.push_back(eyes_of(found.face, image));
      }
      if (templates.empty()) throw Refusal(ReturnCode::FaceDetectionError, "no face in the picture");
    });
    if (status.code != ReturnCode::Success) templates.assign(1, Bytes()), eyes.assign(1, FRVT::EyePair());
    return status;
  }

  const clearlane::Extractor &open_extractor() const {
    if (!extractor_) throw Refusal(ReturnCode::ConfigError, "not initialised");
    return *extractor_;
  }

 private:
  std::optional<clearlane::Extractor> extractor_;
};

// A score that is never negative: NIST keeps negative ones for failures.
inline double similarity(float cosine) { return (1.0 + cosine) / 2.0; }

}  // namespace frte

#endif
