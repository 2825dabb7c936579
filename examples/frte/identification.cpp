// FRTE 1:N: libfrvt_1N_clearlane_NNN.so.
#include <frvt1N.h>

#include "enrolment.hpp"
#include "changing_gallery.hpp"

namespace frte {

class Identification final : public FRVT_1N::Interface, public ChangingGallery {
 public:
  ReturnStatus initializeTemplateCreation(const std::string &config, FRVT::TemplateRole) override { return faces_.open(config); }

  ReturnStatus createFaceTemplate(const Images &images, FRVT::TemplateRole, Bytes &bytes, Eyes &eyes) override {
    return faces_.person(images, bytes, eyes);
  }

  ReturnStatus createFaceTemplate(const FRVT::Image &image, FRVT::TemplateRole, std::vector<Bytes> &templates,
                                  Eyes &eyes) override {
    return faces_.people(image, templates, eyes);
  }

  ReturnStatus createIrisTemplate(const Images &, FRVT::TemplateRole, Bytes &, std::vector<FRVT::IrisAnnulus> &) override {
    return ReturnStatus(ReturnCode::NotImplemented);
  }

  // NIST takes one modality a submission, and knows it by what is implemented: who cannot answer irises leaves this one out too.
  ReturnStatus createFaceAndIrisTemplate(const Images &, FRVT::TemplateRole, Bytes &) override {
    return ReturnStatus(ReturnCode::NotImplemented);
  }

  ReturnStatus finalizeEnrollment(const std::string &, const std::string &folder, const std::string &edb,
                                  const std::string &manifest, FRVT_1N::GalleryType) override {
    return answer(ReturnCode::EnrollDirError, [&] { finalise(folder, edb, manifest); });
  }

  ReturnStatus initializeIdentification(const std::string &config, const std::string &folder) override {
    return answer(ReturnCode::EnrollDirError, [&] {
      const Settings settings(config);
      Enrolment opened;
      opened.open(folder, settings.mode);
      enrolment_ = std::move(opened);
    });
  }

  // Exactly `length` candidates: those beyond the gallery's are not assigned.
  ReturnStatus identifyTemplate(const Bytes &probe, const std::uint32_t length,
                                std::vector<FRVT_1N::Candidate> &candidates) override {
    return answer(ReturnCode::UnknownError, [&] {
      candidates.assign(length, FRVT_1N::Candidate());
      if (probe.empty()) throw Refusal(ReturnCode::TemplateFormatError, "a blank template is not searched for");
      std::size_t rank = 0;
      for (const auto &found : enrolment_.search(probe, length)) {
        candidates[rank++] = FRVT_1N::Candidate(true, enrolment_.name(found.subject), similarity(found.score));
      }
    });
  }

  ReturnStatus galleryInsertID(const Bytes &bytes, const std::string &name) override {
    return answer(ReturnCode::UnknownError, [&] { enrolment_.insert(bytes, name); });
  }

  ReturnStatus galleryDeleteID(const std::string &name) override {
    return answer(ReturnCode::UnknownError, [&] { enrolment_.remove(name); });
  }

 private:
  Faces faces_;
  Enrolment enrolment_;
};

}  // namespace frte

std::shared_ptr<FRVT_1N::Interface> FRVT_1N::Interface::getImplementation() {
  return std::make_shared<frte::Identification>();
}
