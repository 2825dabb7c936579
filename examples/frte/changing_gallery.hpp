// A gallery that changes after it was finalised. NIST's header of 2018 asks for both functions, 1.0 and 2.0 for the first, 3.0 for
// neither; they are here under the same names.
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
