// FATE quality: libfrvt_quality_clearlane_NNN.so. Measures that need no model of their own beyond clearlane's, in the units
// that their names say: counts, degrees, pixels and parts. The unified score is not one of them.
#include <cstddef>
#include <locale>
#include <map>
#include <sstream>
#include <stdexcept>

#include <frvt_quality.h>

#include "faces.hpp"

namespace frte {

// A component's value in its own unit, from the JSON of a face; nothing where it was not assessed. A stream of the classic locale
// reads JSON's numbers whatever locale the host has set.
inline std::optional<double> native(const std::string &json, const std::string &component) {
  const std::string begin = "\"" + component + "\":{\"native\":";
  const auto at = json.find(begin);
  if (at == std::string::npos) return std::nullopt;
  std::istringstream number(json.substr(at + begin.size(), 32));
  number.imbue(std::locale::classic());
  double value = 0;
  if (!(number >> value)) return std::nullopt;
  return value;
}

class Quality final : public FRVT_QUALITY::Interface {
 public:
  ReturnStatus initialize(const std::string &config) override { return faces_.open(config); }

  ReturnStatus vectorQuality(const FRVT::Image &image, FRVT_QUALITY::ImageQualityAssessment &assessment) override {
    using Measure = FRVT_QUALITY::QualityMeasure;
    auto &measures = assessment.qAssessments;
    const auto status = answer(ReturnCode::QualityAssessmentError, [&] {
      const auto found = faces_.open_extractor().extract(frame_of(image));
      assessment.boundingBox = box(found.face, image);
      measures[Measure::TotalFacesPresent] = found.face.faces;
      const std::pair<Measure, const char *> components[] = {
          {Measure::SubjectPoseRoll, "HeadPoseRoll"},
          {Measure::SubjectPosePitch, "HeadPosePitch"},
          {Measure::SubjectPoseYaw, "HeadPoseYaw"},
          {Measure::Underexposure, "UnderExposurePrevention"},
          {Measure::Overexposure, "OverExposurePrevention"},
          {Measure::FaceOcclusion, "FaceOcclusionPrevention"},
      };
      for (const auto &[measure, component] : components) {
        if (const auto value = native(found.quality, component)) measures[measure] = *value;
      }
      const auto left = in_image(found.face, 0, image), right = in_image(found.face, 1, image);
      const double middle = (left[1] + right[1]) / 2;
      measures[Measure::InterEyeDistance] = std::hypot(right[0] - left[0], right[1] - left[1]);
      measures[Measure::PixelsFromEyeToLeftEdge] = left[0];
      measures[Measure::PixelsFromEyeToRightEdge] = image.width - 1 - right[0];
      measures[Measure::PixelsFromEyesToTop] = middle;
      measures[Measure::PixelsFromEyesToBottom] = image.height - 1 - middle;
    });
    if (status.code == ReturnCode::FaceDetectionError) measures[Measure::TotalFacesPresent] = 0;
    return status;
  }

 private:
  // Of the face, which is less than the head, within the image; of an image that had to be turned, none.
  static FRVT_QUALITY::BoundingBox box(const clearlane_face &face, const FRVT::Image &image) {
    if (face.rotation != CLEARLANE_UPRIGHT) return {};
    const auto held = [](float at, int most) { return static_cast<int>(std::min(std::max(at, 0.0f), static_cast<float>(most))); };
    const int x0 = held(face.edges[0], image.width - 1), y0 = held(face.edges[1], image.height - 1);
    const int x1 = held(face.edges[2], image.width - 1), y1 = held(face.edges[3], image.height - 1);
    const auto narrow = [](int value) { return static_cast<std::int16_t>(value); };
    return {narrow(x0), narrow(y0), narrow(x1 - x0 + 1), narrow(y1 - y0 + 1)};
  }

  Faces faces_;
};

}  // namespace frte

std::shared_ptr<FRVT_QUALITY::Interface> FRVT_QUALITY::Interface::getImplementation() {
  return std::make_shared<frte::Quality>();
}
