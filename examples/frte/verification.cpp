// FRTE 1:1: libfrvt_11_clearlane_NNN.so. Headers before 6.0 name both ways to make templates createTemplate, later ones
// createFaceTemplate: the class has both, and those that the header does not know are functions like any other.
#include <frvt11.h>

#include "faces.hpp"

namespace frte {

class Verification final : public FRVT_11::Interface {
 public:
  ReturnStatus initialize(const std::string &config) override { return faces_.open(config); }

  virtual ReturnStatus createFaceTemplate(const Images &images, FRVT::TemplateRole, Bytes &bytes, Eyes &eyes) {
    return faces_.person(images, bytes, eyes);
  }

  virtual ReturnStatus createFaceTemplate(const FRVT::Image &image, FRVT::TemplateRole, std::vector<Bytes> &templates,
                                          Eyes &eyes) {
    return faces_.people(image, templates, eyes);
  }

  virtual ReturnStatus createTemplate(const Images &images, FRVT::TemplateRole, Bytes &bytes, Eyes &eyes) {
    return faces_.person(images, bytes, eyes);
  }

  virtual ReturnStatus createTemplate(const FRVT::Image &image, FRVT::TemplateRole, std::vector<Bytes> &templates, Eyes &eyes) {
    return faces_.people(image, templates, eyes);
  }

  virtual ReturnStatus createIrisTemplate(const Images &, FRVT::TemplateRole, Bytes &, std::vector<FRVT::IrisAnnulus> &) {
    return ReturnStatus(ReturnCode::NotImplemented);
  }

  // A blank template is one that could not be made: compared with it, nobody is similar.
  ReturnStatus matchTemplates(const Bytes &probe, const Bytes &reference, double &score) override {
    score = -1;
    return answer(ReturnCode::MatchError, [&] {
      if (probe.empty() || reference.empty()) throw Refusal(ReturnCode::VerifTemplateError, "a blank template");
      score = similarity(clearlane::compare(probe, reference));
    });
  }

 private:
  Faces faces_;
};

}  // namespace frte

std::shared_ptr<FRVT_11::Interface> FRVT_11::Interface::getImplementation() {
  return std::make_shared<frte::Verification>();
}
