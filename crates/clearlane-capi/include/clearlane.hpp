// clearlane for C++17: the calls of clearlane.h as classes that close what they open, and throw what goes wrong.
//
// A class of this header may be moved and not copied; its calls may be made from any thread. Whatever goes wrong with a
// traveller is a reason in the decision; everything else is a clearlane::Error.
#ifndef CLEARLANE_HPP
#define CLEARLANE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "clearlane.h"

namespace clearlane {

using Microseconds = std::chrono::microseconds;

// A call that ended otherwise than it should.
class Error : public std::runtime_error {
 public:
  Error(clearlane_status status, const std::string &message) : std::runtime_error(message), status_(status) {}
  // CLEARLANE_ARGUMENT and so on.
  clearlane_status status() const noexcept { return status_; }

 private:
  clearlane_status status_;
};

namespace detail {

struct Free {
  void operator()(char *text) const noexcept { clearlane_free(text); }
};
using Text = std::unique_ptr<char, Free>;

inline std::string take(char *text) { return text ? std::string(Text(text).get()) : std::string(); }

// Makes a call that takes a message last.
template <typename Function, typename... Arguments>
void call(Function function, Arguments... arguments) {
  char *message = nullptr;
  const clearlane_status status = function(arguments..., &message);
  const Text text(message);
  if (status != CLEARLANE_OK) throw Error(status, message ? message : "clearlane failed without a message");
}

template <typename Opaque, clearlane_status (*close)(Opaque *)>
struct Close {
  void operator()(Opaque *handle) const noexcept { close(handle); }
};
template <typename Opaque, clearlane_status (*close)(Opaque *)>
using Handle = std::unique_ptr<Opaque, Close<Opaque, close>>;

inline const char *text_or_null(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

inline std::vector<const char *> pointers(const std::vector<std::string> &texts) {
  std::vector<const char *> all;
  for (const std::string &text : texts) all.push_back(text.c_str());
  return all;
}

// Zero stands for the default: a time that has run out must not become one.
inline std::uint64_t count(Microseconds time) {
  if (time.count() < 0) throw std::invalid_argument("expected a time that is not negative");
  return static_cast<std::uint64_t>(time.count());
}

}  // namespace detail

// A picture, as the camera's buffer has it; the buffer has to outlive the frame.
inline clearlane_frame frame(clearlane_pixel_format format, std::uint32_t width, std::uint32_t height, std::size_t stride,
                             const void *pixels, std::size_t length,
                             clearlane_yuv_colour colour = CLEARLANE_BT601_LIMITED,
                             clearlane_rotation rotation = CLEARLANE_UPRIGHT) {
  auto made = CLEARLANE_INIT(clearlane_frame);
  made.pixels = static_cast<const std::uint8_t *>(pixels);
  made.length = length;
  made.stride = stride;
  made.width = width;
  made.height = height;
  made.format = format;
  made.colour = colour;
  made.rotation = rotation;
  return made;
}

// Another matcher's score for one subject.
struct Evidence {
  std::string matcher;
  std::uint64_t subject;
  double score;
};

// What a passage came to. Open the gate if and only if `admitted` is true.
struct Decision {
  bool admitted = false;
  std::optional<std::uint64_t> subject, record;
  std::optional<float> score, threshold, margin;
  Microseconds total{0};
  // All of it, reasons and stage times included.
  std::string json;
};

// What came of a frame: a decision, or what to tell the traveller. The texts are there for as long as the process runs.
struct Step {
  std::optional<Decision> decision;
  const char *guidance = nullptr;
  const char *phrase_en = nullptr;
  const char *phrase_zh = nullptr;
};

struct Identification {
  std::optional<std::uint64_t> subject;
  bool complete = false;
  float threshold = 0;
  std::optional<float> margin;
  // Best first.
  std::vector<clearlane_candidate> candidates;
  // Reasons and stage times.
  std::string json;
};

struct Enrolment {
  clearlane_enrolment_outcome outcome = 0;
  std::optional<std::uint64_t> subject;
  std::string json;
};

namespace detail {

inline Decision decision(const clearlane_decision &from) {
  Decision made;
  made.admitted = from.admitted;
  if (from.has_subject) made.subject = from.subject;
  if (from.has_record) made.record = from.record;
  if (from.has_comparison) made.score = from.score, made.threshold = from.threshold;
  if (from.has_margin) made.margin = from.margin;
  made.total = Microseconds(static_cast<Microseconds::rep>(from.total_us));
  made.json = take(from.json);
  return made;
}

inline clearlane_evidence evidence(const Evidence &item) {
  auto made = CLEARLANE_INIT(clearlane_evidence);
  made.matcher = item.matcher.c_str();
  made.subject = item.subject;
  made.score = item.score;
  return made;
}

}  // namespace detail

// A decoded picture file. Its frame is there as long as it is.
class Picture {
 public:
  // A picture of more than `max_pixels` pixels is refused; 0: of more than 67 million.
  Picture(const void *bytes, std::size_t length, std::uint64_t max_pixels = 0) {
    clearlane_picture *picture = nullptr;
    detail::call(clearlane_picture_decode, static_cast<const std::uint8_t *>(bytes), length, max_pixels, &picture, &frame_);
    handle_.reset(picture);
  }
  const clearlane_frame &frame() const noexcept { return frame_; }

 private:
  clearlane_frame frame_ = CLEARLANE_INIT(clearlane_frame);
  detail::Handle<clearlane_picture, clearlane_picture_close> handle_;
};

// A template as bytes: see clearlane_model.
using Template = std::vector<std::uint8_t>;

// The cosine similarity of two templates.
inline float compare(const Template &left, const Template &right) {
  float score = 0;
  detail::call(clearlane_compare, left.data(), left.size(), right.data(), right.size(), &score);
  return score;
}

// One template for several captures of one person.
inline Template mean(const std::vector<Template> &captures) {
  Template all;
  for (const Template &capture : captures) all.insert(all.end(), capture.begin(), capture.end());
  Template made(captures.empty() ? 0 : captures.front().size());
  detail::call(clearlane_template_mean, all.data(), all.size(), captures.size(), made.data(), made.size());
  return made;
}

// A face that a template was made of.
struct Extraction {
  // Without its `json`, which stands beside it.
  clearlane_face face;
  std::string quality;
  Template bytes;
};

// What makes an extractor: see clearlane_extractor_options. What is left out has its default.
class ExtractorOptions {
 public:
  ExtractorOptions &models(std::string folder) { return models_.push_back(std::move(folder)), *this; }
  ExtractorOptions &detector(std::string name) { return detector_ = std::move(name), *this; }
  ExtractorOptions &embedder(std::string name) { return embedder_ = std::move(name), *this; }
  ExtractorOptions &selection(clearlane_selection selection) { return more_.selection = selection, *this; }
  ExtractorOptions &orientation(clearlane_orientation orientation) { return more_.orientation = orientation, *this; }
  ExtractorOptions &smallest_face(float size) { return more_.smallest_face = size, *this; }
  ExtractorOptions &detector_size(std::uint32_t side) { return more_.detector_size = side, *this; }
  ExtractorOptions &flags(clearlane_port_flags flags) { return more_.flags = flags, *this; }

 private:
  friend class Extractor;
  std::vector<std::string> models_;
  std::string detector_, embedder_;
  clearlane_extractor_options more_ = CLEARLANE_INIT(clearlane_extractor_options);
};

// Makes templates of frames.
class Extractor {
 public:
  explicit Extractor(const ExtractorOptions &from = {}) {
    const auto models = detail::pointers(from.models_);
    clearlane_extractor_options options = from.more_;
    options.model_folders = models.data(), options.model_folder_count = models.size();
    options.detector = detail::text_or_null(from.detector_);
    options.embedder = detail::text_or_null(from.embedder_);
    clearlane_extractor *extractor = nullptr;
    detail::call(clearlane_extractor_open, &options, &extractor);
    handle_.reset(extractor);
    detail::call(clearlane_extractor_model, handle_.get(), &model_);
  }

  // What its templates are.
  const clearlane_model &model() const noexcept { return model_; }

  // The selected face. An Error of CLEARLANE_NO_TEMPLATE where there is none.
  Extraction extract(const clearlane_frame &frame) const {
    auto face = CLEARLANE_INIT(clearlane_face);
    Template bytes(model_.template_length);
    detail::call(clearlane_extract, handle_.get(), &frame, &face, bytes.data(), bytes.size());
    return made(face, std::move(bytes));
  }
  // Up to `most` faces, the largest first.
  std::vector<Extraction> extract_all(const clearlane_frame &frame, std::size_t most) const {
    std::vector<clearlane_face> faces(most, CLEARLANE_INIT(clearlane_face));
    Template all(most * model_.template_length);
    std::size_t count = 0;
    detail::call(clearlane_extract_all, handle_.get(), &frame, faces.data(), all.data(), all.size(), most, &count);
    std::vector<Extraction> found;
    for (std::size_t index = 0; index < count; index++) {
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(index * model_.template_length);
      found.push_back(made(faces[index], Template(first, first + static_cast<std::ptrdiff_t>(model_.template_length))));
    }
    return found;
  }

 private:
  static Extraction made(const clearlane_face &face, Template bytes) {
    Extraction extraction{face, detail::take(face.json), std::move(bytes)};
    extraction.face.json = nullptr;
    return extraction;
  }

  clearlane_model model_ = CLEARLANE_INIT(clearlane_model);
  detail::Handle<clearlane_extractor, clearlane_extractor_close> handle_;
};

// Templates in memory, without a register. Its subjects and templates have the caller's numbers.
class Gallery {
 public:
  explicit Gallery(const clearlane_model &model, clearlane_search_mode mode = CLEARLANE_CERTIFIED,
                   clearlane_port_flags flags = 0) {
    auto options = CLEARLANE_INIT(clearlane_gallery_options);
    options.model = &model, options.mode = mode, options.flags = flags;
    clearlane_gallery *gallery = nullptr;
    detail::call(clearlane_gallery_open, &options, &gallery);
    handle_.reset(gallery);
  }

  // Before many are inserted in parts.
  void reserve(std::size_t count) const { detail::call(clearlane_gallery_reserve, handle_.get(), count); }
  void insert(std::uint64_t subject, std::uint64_t template_id, const Template &bytes) const {
    detail::call(clearlane_gallery_insert, handle_.get(), &subject, &template_id, bytes.data(), bytes.size(), std::size_t{1});
  }
  // Templates one after the other, of these subjects, with these numbers.
  void insert(const std::vector<std::uint64_t> &subjects, const std::vector<std::uint64_t> &template_ids,
              const Template &templates) const {
    if (subjects.size() != template_ids.size()) throw std::invalid_argument("expected a template's number for each subject");
    detail::call(clearlane_gallery_insert, handle_.get(), subjects.data(), template_ids.data(), templates.data(),
                 templates.size(), subjects.size());
  }
  // An Error of CLEARLANE_NOT_FOUND where the subject has no template.
  void remove(std::uint64_t subject) const { detail::call(clearlane_gallery_delete, handle_.get(), subject); }
  std::size_t count() const {
    std::size_t count = 0;
    detail::call(clearlane_gallery_count, handle_.get(), &count);
    return count;
  }
  // The `most` subjects that are most similar to the probe, the best first; fewer only where there are fewer.
  std::vector<clearlane_candidate> search(const Template &probe, std::size_t most) const {
    std::vector<clearlane_candidate> candidates(most, CLEARLANE_INIT(clearlane_candidate));
    std::size_t count = 0;
    detail::call(clearlane_gallery_search, handle_.get(), probe.data(), probe.size(), candidates.data(), most, &count);
    candidates.resize(count);
    return candidates;
  }

 private:
  detail::Handle<clearlane_gallery, clearlane_gallery_close> handle_;
};

// One traveller before the camera of a lane.
class Session {
 public:
  Step frame(const clearlane_frame &frame) { return step(clearlane_session_frame, &frame); }
  Step evidence(const Evidence &item) {
    const clearlane_evidence given = detail::evidence(item);
    return step(clearlane_session_evidence, &given);
  }
  // Decides with the frames that came.
  Decision finish() {
    auto decision = CLEARLANE_INIT(clearlane_decision);
    detail::call(clearlane_session_finish, handle_.get(), &decision);
    return detail::decision(decision);
  }

 private:
  friend class Lane;
  explicit Session(clearlane_session *handle) : handle_(handle) {}

  template <typename Function, typename Given>
  Step step(Function function, const Given *given) {
    auto step = CLEARLANE_INIT(clearlane_step);
    auto decision = CLEARLANE_INIT(clearlane_decision);
    detail::call(function, handle_.get(), given, &step, &decision);
    Step made;
    if (step.decided) made.decision = detail::decision(decision);
    made.guidance = step.guidance, made.phrase_en = step.phrase_en, made.phrase_zh = step.phrase_zh;
    return made;
  }

  detail::Handle<clearlane_session, clearlane_session_close> handle_;
};

// One lane of a port.
class Lane {
 public:
  // The traveller shows nothing (1:N). A budget of 0 is the policy's.
  Decision pass(const std::vector<clearlane_frame> &frames, const std::vector<Evidence> &evidence = {},
                Microseconds budget = {}) const {
    return decide(frames, evidence, budget, [this](const clearlane_passage *passage, clearlane_decision *decision) {
      detail::call(clearlane_pass, handle_.get(), passage, decision);
    });
  }
  // The traveller shows a claim (1:1), in one of `claim_frames`.
  Decision verify_claim(const std::vector<clearlane_frame> &claim_frames, const std::vector<clearlane_frame> &frames,
                        const std::vector<Evidence> &evidence = {}, Microseconds budget = {}) const {
    return decide(frames, evidence, budget, [&](const clearlane_passage *passage, clearlane_decision *decision) {
      detail::call(clearlane_verify_claim, handle_.get(), claim_frames.data(), claim_frames.size(), passage, decision);
    });
  }
  // The traveller shows a document (1:1): its kind, number and portrait.
  Decision verify_document(const std::string &kind, const std::string &number, const clearlane_frame &portrait,
                           const std::vector<clearlane_frame> &frames, const std::vector<Evidence> &evidence = {},
                           Microseconds budget = {}) const {
    auto document = CLEARLANE_INIT(clearlane_document);
    document.kind = kind.c_str(), document.number = number.c_str(), document.portrait = &portrait;
    return decide(frames, evidence, budget, [&](const clearlane_passage *passage, clearlane_decision *decision) {
      detail::call(clearlane_verify_document, handle_.get(), &document, passage, decision);
    });
  }
  // A passage that takes frames one by one. A patience of 0 is 10 s.
  Session session(Microseconds patience = {}) const {
    clearlane_session *session = nullptr;
    detail::call(clearlane_session_open, handle_.get(), detail::count(patience), &session);
    return Session(session);
  }

 private:
  friend class Port;
  explicit Lane(clearlane_lane *handle) : handle_(handle) {}

  template <typename Call>
  static Decision decide(const std::vector<clearlane_frame> &frames, const std::vector<Evidence> &evidence,
                         Microseconds budget, Call call) {
    std::vector<clearlane_evidence> items;
    for (const Evidence &item : evidence) items.push_back(detail::evidence(item));
    auto passage = CLEARLANE_INIT(clearlane_passage);
    passage.frames = frames.data(), passage.frame_count = frames.size();
    passage.evidence = items.data(), passage.evidence_count = items.size();
    passage.budget_us = detail::count(budget);
    auto decision = CLEARLANE_INIT(clearlane_decision);
    call(&passage, &decision);
    return detail::decision(decision);
  }

  detail::Handle<clearlane_lane, clearlane_lane_close> handle_;
};

// What makes a port: see clearlane_port_options. What is left out has its default.
class PortOptions {
 public:
  explicit PortOptions(std::string register_path) : register_(std::move(register_path)) {}
  PortOptions &key_file(std::string path) { return key_file_ = std::move(path), *this; }
  // Keys from the host. `release` is called when `user` is not used any more.
  PortOptions &keys(clearlane_key_callback keys, void *user, clearlane_release_callback release = nullptr) {
    return more_.keys = keys, more_.keys_user = user, more_.keys_release = release, *this;
  }
  PortOptions &witness(std::string path) { return witness_ = std::move(path), *this; }
  PortOptions &gallery_file(std::string path) { return gallery_ = std::move(path), *this; }
  PortOptions &policy(std::string path) { return policy_ = std::move(path), *this; }
  PortOptions &port(std::string id) { return port_ = std::move(id), *this; }
  PortOptions &models(std::string folder) { return models_.push_back(std::move(folder)), *this; }
  PortOptions &detector(std::string name) { return detector_ = std::move(name), *this; }
  PortOptions &embedder(std::string name) { return embedder_ = std::move(name), *this; }
  PortOptions &pad(std::vector<std::string> names) { return pad_ = std::move(names), *this; }
  PortOptions &claim_issuer(std::string path) { return claim_issuer_ = std::move(path), *this; }
  PortOptions &access(clearlane_access access) { return more_.access = access, *this; }
  PortOptions &selection(clearlane_selection selection) { return more_.selection = selection, *this; }
  PortOptions &mode(clearlane_search_mode mode) { return more_.mode = mode, *this; }
  PortOptions &flags(clearlane_port_flags flags) { return more_.flags = flags, *this; }

 private:
  friend class Port;
  std::string register_, key_file_, witness_, gallery_, policy_, port_, detector_, embedder_, claim_issuer_;
  std::vector<std::string> models_, pad_;
  clearlane_port_options more_ = CLEARLANE_INIT(clearlane_port_options);
};

// A thread that polls a port until it is destroyed.
using Refresher = detail::Handle<clearlane_refresher, clearlane_refresher_close>;

// An opened port: one gallery, which all of its lanes share.
class Port {
 public:
  explicit Port(const PortOptions &from) {
    const auto models = detail::pointers(from.models_), pad = detail::pointers(from.pad_);
    clearlane_port_options options = from.more_;
    options.register_path = from.register_.c_str();
    options.key_file = detail::text_or_null(from.key_file_);
    options.witness_path = detail::text_or_null(from.witness_);
    options.gallery_path = detail::text_or_null(from.gallery_);
    options.policy_path = detail::text_or_null(from.policy_);
    options.port = detail::text_or_null(from.port_);
    options.model_folders = models.data(), options.model_folder_count = models.size();
    options.detector = detail::text_or_null(from.detector_);
    options.embedder = detail::text_or_null(from.embedder_);
    options.pad = pad.data(), options.pad_count = pad.size();
    options.claim_issuer = detail::text_or_null(from.claim_issuer_);
    clearlane_port *port = nullptr;
    detail::call(clearlane_port_open, &options, &port);
    handle_.reset(port);
  }

  // Lanes may outlive the port.
  Lane lane(const std::string &name, clearlane_direction direction) const {
    clearlane_lane *lane = nullptr;
    detail::call(clearlane_lane_open, handle_.get(), name.c_str(), direction, &lane);
    return Lane(lane);
  }

  void poll() const { detail::call(clearlane_port_poll, handle_.get()); }
  Refresher refresh_every(Microseconds period) const {
    clearlane_refresher *refresher = nullptr;
    detail::call(clearlane_port_refresh_every, handle_.get(), detail::count(period), &refresher);
    return Refresher(refresher);
  }
  // Whether the register is sound.
  bool check() const {
    bool sound = false;
    detail::call(clearlane_port_check, handle_.get(), &sound);
    return sound;
  }
  std::string metrics() const {
    char *json = nullptr;
    detail::call(clearlane_port_metrics, handle_.get(), &json);
    return detail::take(json);
  }
  // The same, and what is known of the port, in Prometheus' text format.
  std::string prometheus() const {
    char *text = nullptr;
    detail::call(clearlane_port_prometheus, handle_.get(), &text);
    return detail::take(text);
  }

  // Whom the frame shows, with up to `most` candidates.
  Identification identify(const clearlane_frame &frame, const clearlane_identify_options &options,
                          std::size_t most = 2) const {
    auto found = CLEARLANE_INIT(clearlane_identification);
    std::vector<clearlane_candidate> candidates(most, CLEARLANE_INIT(clearlane_candidate));
    detail::call(clearlane_identify, handle_.get(), &frame, &options, &found, candidates.data(), most);
    Identification made;
    if (found.identified) made.subject = found.subject;
    if (found.has_margin) made.margin = found.margin;
    made.complete = found.complete;
    made.threshold = found.threshold;
    candidates.resize(found.candidate_count);
    made.candidates = std::move(candidates);
    made.json = detail::take(found.json);
    return made;
  }

  // Enrols one applicant; `details` is JSON, as clearlane_application says.
  Enrolment enrol(const std::string &key, const std::string &details, const std::vector<clearlane_frame> &pictures) const {
    auto application = CLEARLANE_INIT(clearlane_application);
    application.key = key.c_str(), application.details = details.c_str();
    application.pictures = pictures.data(), application.picture_count = pictures.size();
    auto enrolment = CLEARLANE_INIT(clearlane_enrolment);
    detail::call(clearlane_enrol, handle_.get(), &application, &enrolment);
    Enrolment made;
    made.outcome = enrolment.outcome;
    if (enrolment.subject) made.subject = enrolment.subject;
    made.json = detail::take(enrolment.json);
    return made;
  }

  // A subject's newest record as JSON. An Error of CLEARLANE_NOT_FOUND where there is none.
  std::string last_record(const clearlane_record_query &query) const {
    char *json = nullptr;
    detail::call(clearlane_last_record, handle_.get(), &query, &json);
    return detail::take(json);
  }
  // A subject's last admission on paper. An Error of CLEARLANE_NOT_FOUND where there is none.
  std::string print_last(const clearlane_record_query &query, clearlane_form form) const {
    char *text = nullptr;
    detail::call(clearlane_print_last, handle_.get(), &query, form, &text);
    return detail::take(text);
  }
  // Whether the chain of records is sound, and what is wrong as JSON.
  std::pair<bool, std::string> verify_records() const {
    bool sound = false;
    char *json = nullptr;
    detail::call(clearlane_verify_records, handle_.get(), &sound, &json);
    return {sound, detail::take(json)};
  }

 private:
  detail::Handle<clearlane_port, clearlane_port_close> handle_;
};

}  // namespace clearlane

#endif
