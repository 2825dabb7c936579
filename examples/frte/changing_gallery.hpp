// A gallery that changes after it was finalised. Headers of NIST's before 3.0 ask for both functions, later ones for neither;
// they are here under the same names, so that the class of either has them.
#ifndef CLEARLANE_FRTE_CHANGING_GALLERY_HPP
#define CLEARLANE_FRTE_CHANGING_GALLERY_HPP

#include <frvt_structs.h>

namespace frte {

class ChangingGallery {
 public:
  virtual ~ChangingGallery() = default;
  virtual FRVT::ReturnStatus galleryInsertID(const std::vector<std::uint8_t> &templ, const std::string &id) = 0;
  virtual FRVT::ReturnStatus galleryDeleteID(const std::string &id) = 0;
};

}  // namespace frte

#endif
