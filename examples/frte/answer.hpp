// How a call of NIST's interface answers: nothing is thrown across it.
#ifndef CLEARLANE_FRTE_ANSWER_HPP
#define CLEARLANE_FRTE_ANSWER_HPP

#include <frvt_structs.h>

#include <clearlane.hpp>
#include <exception>
#include <new>

namespace frte {

using FRVT::ReturnCode;
using FRVT::ReturnStatus;

// The code for what the library says; `otherwise` where it says nothing more precise.
inline ReturnCode code_of(clearlane_status status, ReturnCode otherwise) {
  switch (status) {
    case CLEARLANE_NO_TEMPLATE: return ReturnCode::FaceDetectionError;
    case CLEARLANE_FRAME: return ReturnCode::RefuseInput;
    case CLEARLANE_TEMPLATE: return ReturnCode::TemplateFormatError;
    case CLEARLANE_UNAVAILABLE: return ReturnCode::MemoryError;
    default: return otherwise;
  }
}

// What went wrong, with its code.
class Refusal : public std::runtime_error {
 public:
  Refusal(ReturnCode code, const std::string &why) : std::runtime_error(why), code(code) {}
  const ReturnCode code;
};

// The answer of `work`, or what it threw.
template <typename Work>
ReturnStatus answer(ReturnCode otherwise, Work work) noexcept {
  try {
    work();
    return ReturnStatus(ReturnCode::Success);
  } catch (const Refusal &refusal) {
    return ReturnStatus(refusal.code, refusal.what());
  } catch (const clearlane::Error &error) {
    return ReturnStatus(code_of(error.status(), otherwise), error.what());
  } catch (const std::bad_alloc &) {
    return ReturnStatus(ReturnCode::MemoryError);
  } catch (const std::exception &error) {
    return ReturnStatus(otherwise, error.what());
  }
}

}  // namespace frte

#endif
