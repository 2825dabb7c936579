// Everything that the C++ header offers, once: from a port's files to printed records.
#include <clearlane.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#define EXPECT(condition)                                                            \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::cerr << __FILE__ << ':' << __LINE__ << ": " << #condition << std::endl;   \
      std::exit(1);                                                                  \
    }                                                                                \
  } while (false)

// The status and the words of what `work` throws.
template <typename Work>
static clearlane::Error refused_at(int line, Work work) {
  try {
    work();
  } catch (const clearlane::Error &error) {
    return error;
  }
  std::cerr << __FILE__ << ':' << line << ": an error was expected" << std::endl;
  std::exit(1);
}
#define refused(...) refused_at(__LINE__, __VA_ARGS__)

static bool has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

struct Picture {
  std::uint32_t width = 0, height = 0;
  std::string pixels;

  explicit Picture(const char *path) {
    std::ifstream file(path, std::ios::binary);
    std::string format;
    int levels = 0;
    file >> format >> width >> height >> levels;
    file.get();
    pixels.assign(std::istreambuf_iterator<char>(file), {});
    EXPECT(format == "P6" && pixels.size() == std::size_t{3} * width * height);
  }
  clearlane_frame frame() const {
    return clearlane::frame(CLEARLANE_RGB8, width, height, std::size_t{3} * width, pixels.data(), pixels.size());
  }
  int at(std::uint32_t x, std::uint32_t y, int channel) const {
    return static_cast<unsigned char>(pixels[3 * (std::size_t{y} * width + x) + channel]);
  }
};

static const char *const DETAILS = R"({
  "category": "hong-kong-resident", "birth": "1991-01-02",
  "documents": [{"kind": "mainland-travel-permit-hk-macao", "number": "H11111111", "expires": "2199-12-31"}],
  "consent": {"given": "2024-11-25T00:00:00Z", "scope": {"face": true, "fingerprint": false}}})";

static clearlane_record_query of_subject(std::uint64_t subject) {
  auto query = CLEARLANE_INIT(clearlane_record_query);
  query.subject = subject;
  return query;
}

static clearlane_identify_options identify_options() {
  auto options = CLEARLANE_INIT(clearlane_identify_options);
  options.fpir = 0.01;
  options.margin = 0.05f;
  options.list_from = -1;
  return options;
}

// The picture in every pixel format and YUV colour: the same face in each, if and only if it is named as what it is.
static void formats(const clearlane::Port &port, const Picture &picture) {
  const std::size_t width = picture.width, height = picture.height;
  EXPECT(width % 2 == 0 && height % 2 == 0);
  const auto score = [&](const clearlane_frame &frame) {
    const auto found = port.identify(frame, identify_options());
    EXPECT(!found.candidates.empty());
    return found.candidates[0].score;
  };
  EXPECT(score(picture.frame()) > 0.999f);

  std::string bgr(picture.pixels.size(), 0), grey(width * height, 0);
  for (std::size_t at = 0; at < width * height; at++) {
    for (int channel = 0; channel < 3; channel++) bgr[3 * at + channel] = picture.pixels[3 * at + 2 - channel];
    grey[at] = picture.pixels[3 * at + 1];
  }
  EXPECT(score(clearlane::frame(CLEARLANE_BGR8, picture.width, picture.height, 3 * width, bgr.data(), bgr.size())) > 0.999f);
  EXPECT(score(clearlane::frame(CLEARLANE_GRAY8, picture.width, picture.height, width, grey.data(), grey.size())) > 0.8f);

  const struct { clearlane_yuv_colour colour; double red, blue; bool limited; } colours[] = {
      {CLEARLANE_BT601_LIMITED, 0.299, 0.114, true},
      {CLEARLANE_BT601_FULL, 0.299, 0.114, false},
      {CLEARLANE_BT709_LIMITED, 0.2126, 0.0722, true}};
  for (const auto &meant : colours) {
    // ITU-R BT.601-7 and BT.709-6: luma, and the differences of colour from it, halved with every second pixel.
    std::string luma(width * height, 0), chroma(width * height / 2, 0), yuyv(2 * width * height, 0);
    for (std::uint32_t y = 0; y < height; y++) {
      for (std::uint32_t x = 0; x < width; x++) {
        const double r = picture.at(x, y, 0), g = picture.at(x, y, 1), b = picture.at(x, y, 2);
        const double light = meant.red * r + (1 - meant.red - meant.blue) * g + meant.blue * b;
        const double u = (b - light) / (2 * (1 - meant.blue)), v = (r - light) / (2 * (1 - meant.red));
        const double scale = meant.limited ? 224.0 / 255 : 1;
        const auto byte = [](double value) { return static_cast<char>(static_cast<unsigned char>(std::lround(value))); };
        const char level = byte(meant.limited ? 16 + light * 219 / 255 : light);
        const std::size_t at = y * width + x;
        luma[at] = level;
        yuyv[2 * at] = level;
        if (x % 2 == 0) yuyv[2 * at + 1] = byte(128 + scale * u), yuyv[2 * at + 3] = byte(128 + scale * v);
        if (x % 2 == 0 && y % 2 == 0) {
          chroma[y / 2 * width + x] = byte(128 + scale * u);
          chroma[y / 2 * width + x + 1] = byte(128 + scale * v);
        }
      }
    }
    const std::string nv12 = luma + chroma;
    auto planes = clearlane::frame(CLEARLANE_NV12, picture.width, picture.height, width, luma.data(), luma.size(), meant.colour);
    planes.chroma = reinterpret_cast<const std::uint8_t *>(chroma.data());
    planes.chroma_length = chroma.size(), planes.chroma_stride = width;
    const auto joined = clearlane::frame(CLEARLANE_NV12, picture.width, picture.height, width, nv12.data(), nv12.size(), meant.colour);
    const auto packed = clearlane::frame(CLEARLANE_YUYV, picture.width, picture.height, 2 * width, yuyv.data(), yuyv.size(), meant.colour);
    const float right = score(joined);
    EXPECT(right > 0.98f && score(planes) == right && score(packed) > 0.98f);
    auto mistaken = joined;
    mistaken.colour = (meant.colour + 1) % 3;
    EXPECT(score(mistaken) != right);
  }
}

static void pad(const clearlane::PortOptions &base, const Picture &picture, const char *strict, const char *models) {
  const auto pass = [&](std::vector<std::string> names, bool with_models) {
    auto options = base;
    options.policy(strict).pad(std::move(names));
    if (with_models) options.models(models);
    const auto decision = clearlane::Port(options).lane("lane 1", CLEARLANE_EXIT).pass({picture.frame()});
    // Either way it is somebody, by the face, and the passage is on record.
    EXPECT(decision.subject && decision.score && decision.record);
    return decision;
  };
  // The policy requires PAD: without a model for it nobody passes.
  EXPECT(has(pass({}, false).json, "pad-not-assessed"));
  EXPECT(pass({"pad-live"}, true).admitted);
  EXPECT(has(pass({"pad-attack"}, true).json, "pad-failed"));
  // The mean of both is under the threshold. All that are available are taken where none is named.
  EXPECT(has(pass({"pad-live", "pad-attack"}, true).json, "pad-failed"));
  EXPECT(has(pass({}, true).json, "pad-failed"));
  // A model that is not there, or is for something else, is not PAD: no port opens.
  for (const std::string name : {"pad-oracle", "clearlane-detector"}) {
    const auto error = refused([&] { pass({"pad-live", name}, true); });
    EXPECT(error.status() == CLEARLANE_OPEN && has(error.what(), name));
  }
}

static void lanes(const clearlane::Port &port, const Picture &picture, const Picture &claim) {
  const auto lane = port.lane("lane 1", CLEARLANE_EXIT);
  const auto passed = lane.pass({picture.frame(), picture.frame()}, {{"fingerprint", 1, 40.0}});
  EXPECT(passed.admitted && passed.subject == 1 && passed.record && passed.score > passed.threshold && passed.margin);
  EXPECT(has(passed.json, "\"admit\"") && passed.total.count() > 0);

  const std::string nobody(320 * 240, '\x80');
  const auto grey = clearlane::frame(CLEARLANE_GRAY8, 320, 240, 320, nobody.data(), nobody.size());
  const auto referred = lane.pass({grey});
  EXPECT(!referred.admitted && !referred.subject && referred.record);
  EXPECT(has(referred.json, "\"no-face\"") && has(referred.json, "no face to be seen") && has(referred.json, "未检测到人脸"));

  // 1:1 by claim, which is good once, and by document.
  EXPECT(has(lane.verify_claim({grey}, {picture.frame()}).json, "no-claim"));
  EXPECT(lane.verify_claim({grey, claim.frame()}, {picture.frame()}).admitted);
  EXPECT(has(lane.verify_claim({claim.frame()}, {picture.frame()}).json, "claim-refused"));
  const std::string kind = "mainland-travel-permit-hk-macao";
  EXPECT(lane.verify_document(kind, "h 0000 0000", picture.frame(), {picture.frame()}).admitted);
  EXPECT(has(lane.verify_document(kind, "H99999999", picture.frame(), {picture.frame()}).json, "not-enrolled"));
  EXPECT(has(lane.verify_document(kind, "H00000000", grey, {picture.frame()}).json, "portrait-unusable"));
  const auto error = refused([&] { lane.verify_document("papers", "1", grey, {grey}); });
  EXPECT(error.status() == CLEARLANE_ARGUMENT && has(error.what(), kind));

  // A session says what to do, decides, and stays decided.
  auto session = lane.session(std::chrono::minutes(10));
  const auto first = session.frame(grey);
  EXPECT(!first.decision && first.guidance == std::string("show-face") && first.phrase_en && has(first.phrase_zh, "摄像头"));
  EXPECT(!session.evidence({"fingerprint", 1, 40.0}).decision);
  std::optional<clearlane::Decision> decision;
  for (int frames = 0; !decision && frames < 100; frames++) decision = session.frame(picture.frame()).decision;
  EXPECT(decision && decision->admitted && decision->subject == 1 && decision->record);
  const auto later = session.frame(grey).decision, evidence = session.evidence({"iris", 1, 0}).decision;
  EXPECT(later && later->record == decision->record && evidence && evidence->record == decision->record);
  EXPECT(session.finish().record == decision->record);

  // One that sees nobody is referred at its end, and one that is closed early leaves no record.
  auto empty = lane.session();
  EXPECT(has(empty.finish().json, "no-face"));
  const auto records = [&] { return port.verify_records().second; };
  const auto before = records();
  { lane.session().frame(grey); }
  EXPECT(records() == before);
}

static void registers(const clearlane::Port &port, const Picture &picture, const Picture &other) {
  const auto enrol = [&](const char *details) { return port.enrol("f0001", details, {other.frame()}); };
  const auto options = identify_options();
  EXPECT(!port.identify(other.frame(), options).subject);

  const auto referred = enrol(R"({"category": "hong-kong-resident"})");
  EXPECT(referred.outcome == CLEARLANE_REFERRED && !referred.subject && has(referred.json, "no-consent"));
  const auto duplicate = port.enrol("somebody else", DETAILS, {picture.frame()});
  EXPECT(duplicate.outcome == CLEARLANE_REFERRED && has(duplicate.json, "duplicate-face"));
  const auto enrolled = enrol(DETAILS);
  EXPECT(enrolled.outcome == CLEARLANE_ENROLLED && enrolled.subject && has(enrolled.json, "templates"));
  EXPECT(enrol(DETAILS).outcome == CLEARLANE_ALREADY_ENROLLED);
  for (const char *details : {"{", "[]", R"({"birht": "1990-01-01"})", R"({"documents": [{"number": "1"}]})",
                              R"({"documents": [{"kind": "passport", "number": "1", "number_digest": "2"}]})"}) {
    const auto error = refused([&] { enrol(details); });
    EXPECT(error.status() == CLEARLANE_ARGUMENT && has(error.what(), "details"));
  }

  // Both are found now, the best first, and pass.
  const auto found = port.identify(other.frame(), options, 8);
  EXPECT(found.subject == enrolled.subject && found.complete && found.margin && found.candidates.size() == 2);
  EXPECT(found.candidates[0].subject == *enrolled.subject && found.candidates[0].score > found.candidates[1].score);
  const auto one = port.identify(picture.frame(), options, 0);
  EXPECT(one.subject == 1 && one.candidates.empty());
  const std::string nobody(64 * 64, '\x80');
  const auto grey = clearlane::frame(CLEARLANE_GRAY8, 64, 64, 64, nobody.data(), nobody.size());
  EXPECT(refused([&] { port.identify(grey, options); }).status() == CLEARLANE_NO_TEMPLATE);
  auto certain = options;
  certain.fpir = 0;
  EXPECT(refused([&] { port.identify(picture.frame(), certain); }).status() == CLEARLANE_ARGUMENT);

  const auto lane = port.lane("lane 2", CLEARLANE_ENTRY);
  auto query = of_subject(*enrolled.subject);
  EXPECT(refused([&] { port.last_record(query); }).status() == CLEARLANE_NOT_FOUND);
  EXPECT(lane.pass({other.frame()}).subject == enrolled.subject);
  EXPECT(has(port.last_record(query), "\"lane 2\""));
  auto by_key = CLEARLANE_INIT(clearlane_record_query);
  by_key.key = "f0001";
  EXPECT(port.last_record(by_key) == port.last_record(query));
  EXPECT(has(port.print_last(by_key, CLEARLANE_TEXT), "入境") && has(port.print_last(by_key, CLEARLANE_JSON), "\"f0001\""));
  EXPECT(has(port.print_last(by_key, CLEARLANE_HTML), "<html"));
  by_key.direction = CLEARLANE_EXIT;
  EXPECT(refused([&] { port.print_last(by_key, CLEARLANE_TEXT); }).status() == CLEARLANE_NOT_FOUND);
  by_key.direction = 0, by_key.outcome = CLEARLANE_REFER;
  EXPECT(refused([&] { port.print_last(by_key, CLEARLANE_TEXT); }).status() == CLEARLANE_ARGUMENT);
  EXPECT(refused([&] { port.last_record(of_subject(99)); }).status() == CLEARLANE_NOT_FOUND);
  EXPECT(refused([&] { port.last_record(of_subject(0)); }).status() == CLEARLANE_ARGUMENT);
  const auto chain = port.verify_records();
  EXPECT(chain.first && has(chain.second, "\"problems\":[]"));
}

int main(int count, char **arguments) {
  EXPECT(count == 10 && clearlane_abi_version() == CLEARLANE_ABI_VERSION && has(clearlane_version(), "."));
  const Picture picture(arguments[6]), other(arguments[7]), claim(arguments[9]);
  clearlane::PortOptions options(arguments[1]);
  options.key_file(arguments[2]).policy(arguments[3]).port("shenzhen-bay").claim_issuer(arguments[8]);
  pad(options, picture, arguments[4], arguments[5]);

  std::optional<clearlane::Port> port(options);
  {
    const auto refresher = port->refresh_every(std::chrono::milliseconds(1));
    formats(*port, picture);
    lanes(*port, picture, claim);
    registers(*port, picture, other);
  }
  port->poll();
  EXPECT(port->check() && has(port->metrics(), "\"admitted\":"));
  EXPECT(has(port->prometheus(), "\nclearlane_register_sound 1\n") && has(port->prometheus(), "\nclearlane_gallery_templates "));

  // A lane outlives its port, and a session its lane.
  std::optional<clearlane::Lane> lane(port->lane("lane 3", CLEARLANE_EXIT));
  port.reset();
  EXPECT(lane->pass({picture.frame()}).admitted);
  auto session = lane->session();
  lane.reset();
  EXPECT(!session.finish().admitted);

  // A port without a policy has no lanes; the embedder has to be one that is there.
  const clearlane::Port bare(clearlane::PortOptions(arguments[1]).key_file(arguments[2]));
  EXPECT(refused([&] { bare.lane("lane 1", CLEARLANE_EXIT); }).status() == CLEARLANE_UNAVAILABLE);
  EXPECT(refused([&] { bare.enrol("f0001", DETAILS, {other.frame()}); }).status() == CLEARLANE_UNAVAILABLE);
  const auto error = refused([&] { clearlane::Port(options.embedder("nobody's")); });
  EXPECT(error.status() == CLEARLANE_OPEN && has(error.what(), "nobody's"));
  return 0;
}
