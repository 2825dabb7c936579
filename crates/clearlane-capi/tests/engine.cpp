// The parts beneath a port: pictures, extractors, templates and galleries, on one thread and across a fork.
// engine PICTURE.jpg OTHER.jpg DOCUMENT.dg2
#include <sys/wait.h>
#include <unistd.h>

#include <clearlane.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
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

// The status of what `work` throws.
template <typename Work>
static clearlane_status refused(Work work) {
  try {
    work();
  } catch (const clearlane::Error &error) {
    EXPECT(std::strlen(error.what()) > 10);
    return error.status();
  }
  return CLEARLANE_OK;
}

static std::string read(const char *path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT(file.is_open());
  return {std::istreambuf_iterator<char>(file), {}};
}

static std::ptrdiff_t threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

// A template far from any face's, number `number`: all values 0 but two.
static clearlane::Template synthetic(const clearlane_model &model, std::size_t number) {
  clearlane::Template bytes(model.template_length);
  std::memcpy(bytes.data(), model.id, sizeof model.id);
  const std::size_t first = number % model.dimension, second = (first + 1 + number / model.dimension) % model.dimension;
  const float part = std::sqrt(0.5f);
  for (const std::size_t at : {first, second}) std::memcpy(bytes.data() + sizeof model.id + 4 * at, &part, 4);
  return bytes;
}

// A frame of two pictures of one height, side by side.
static std::string beside(const clearlane_frame &left, const clearlane_frame &right) {
  std::string pixels;
  for (std::uint32_t y = 0; y < left.height; y++) {
    for (const clearlane_frame *frame : {&left, &right}) {
      pixels.append(reinterpret_cast<const char *>(frame->pixels) + y * frame->stride, 3 * std::size_t{frame->width});
    }
  }
  return pixels;
}

static void pictures(const std::string &jpeg, const std::string &document) {
  const clearlane::Picture picture(jpeg.data(), jpeg.size());
  const clearlane_frame &frame = picture.frame();
  EXPECT(frame.format == CLEARLANE_RGB8 && frame.width > 100 && frame.height > 100 && frame.stride == 3 * frame.width);
  EXPECT(frame.length == frame.stride * frame.height && frame.rotation == CLEARLANE_UPRIGHT);
  const clearlane::Picture portrait(document.data(), document.size());
  EXPECT(portrait.frame().width > 0 && portrait.frame().length > 0);

  const std::uint64_t few = std::uint64_t{frame.width} * frame.height - 1;
  EXPECT(refused([&] { clearlane::Picture(jpeg.data(), jpeg.size(), few); }) == CLEARLANE_FRAME);
  EXPECT(refused([&] { clearlane::Picture(jpeg.data(), jpeg.size() / 2); }) == CLEARLANE_FRAME);
  EXPECT(refused([&] { clearlane::Picture("no picture", 10); }) == CLEARLANE_FRAME);
  EXPECT(refused([&] { clearlane::Picture("", 0); }) == CLEARLANE_FRAME);
}

static void templates(const clearlane::Extractor &extractor, const clearlane_frame &one, const clearlane_frame &other) {
  const auto first = extractor.extract(one), second = extractor.extract(other);
  const clearlane_face &face = first.face;
  EXPECT(face.faces == 1 && face.score > 0.5f && face.outside == 0 && face.rotation == CLEARLANE_UPRIGHT);
  EXPECT(face.edges[0] < face.landmarks[0] && face.landmarks[0] < face.landmarks[2] && face.landmarks[2] < face.edges[2]);
  EXPECT(face.edges[1] < face.landmarks[1] && face.landmarks[1] < face.landmarks[9] && face.landmarks[9] < face.edges[3]);
  EXPECT(first.quality.find("\"HeadPoseYaw\":{\"native\":") != std::string::npos);
  EXPECT(first.quality.find("\"UnifiedQualityScore\":null") != std::string::npos);

  // What the header says of the bytes.
  const clearlane_model &model = extractor.model();
  EXPECT(model.template_length == 32 + 4 * model.dimension && first.bytes.size() == model.template_length);
  EXPECT(std::memcmp(first.bytes.data(), model.id, 32) == 0);
  std::vector<float> values(model.dimension), others(model.dimension);
  std::memcpy(values.data(), first.bytes.data() + 32, 4 * values.size());
  std::memcpy(others.data(), second.bytes.data() + 32, 4 * others.size());
  double product = 0;
  for (std::size_t at = 0; at < values.size(); at++) product += double{values[at]} * others[at];
  const float score = clearlane::compare(first.bytes, second.bytes);
  EXPECT(std::abs(score - product) < 1e-5 && score < 0.5f && clearlane::compare(first.bytes, first.bytes) > 0.9999f);
  const auto between = clearlane::mean({first.bytes, second.bytes});
  EXPECT(clearlane::compare(between, first.bytes) > 0.6f && clearlane::compare(between, second.bytes) > 0.6f);

  auto wrong = first.bytes;
  wrong[0] ^= 1;
  EXPECT(refused([&] { clearlane::compare(first.bytes, wrong); }) == CLEARLANE_TEMPLATE);
  EXPECT(refused([&] { clearlane::mean({first.bytes, wrong}); }) == CLEARLANE_TEMPLATE);
  EXPECT(refused([&] { clearlane::compare(first.bytes, {1, 2, 3}); }) == CLEARLANE_TEMPLATE);
  EXPECT(refused([&] { clearlane::mean({}); }) == CLEARLANE_TEMPLATE);

  // Several faces: the largest is the extractor's choice, and all can be had.
  const std::string both = beside(one, other);
  const auto pair = clearlane::frame(CLEARLANE_RGB8, one.width + other.width, one.height, 3 * (one.width + other.width),
                                     both.data(), both.size());
  const auto all = extractor.extract_all(pair, 8);
  EXPECT(all.size() == 2 && all[0].face.faces == 2 && extractor.extract_all(pair, 1).size() == 1);
  EXPECT(extractor.extract(pair).bytes == all[0].bytes);
  const float straight = clearlane::compare(all[0].bytes, first.bytes), crossed = clearlane::compare(all[0].bytes, second.bytes);
  EXPECT(std::max(straight, crossed) > 0.9f && std::min(straight, crossed) < 0.5f);
  const clearlane::Extractor only(clearlane::ExtractorOptions().selection(CLEARLANE_ONLY_FACE));
  EXPECT(refused([&] { only.extract(pair); }) == CLEARLANE_NO_TEMPLATE);

  const std::string black(64 * 64, '\0');
  const auto nobody = clearlane::frame(CLEARLANE_GRAY8, 64, 64, 64, black.data(), black.size());
  EXPECT(refused([&] { extractor.extract(nobody); }) == CLEARLANE_NO_TEMPLATE && extractor.extract_all(nobody, 8).empty());
}

static void galleries(const clearlane::Extractor &extractor, const clearlane_frame &one, const clearlane_frame &other) {
  const clearlane::Template first = extractor.extract(one).bytes, second = extractor.extract(other).bytes;
  for (const clearlane_search_mode mode : {CLEARLANE_EXHAUSTIVE, CLEARLANE_CERTIFIED, CLEARLANE_SKETCH}) {
    const clearlane::Gallery gallery(extractor.model(), mode);
    EXPECT(gallery.count() == 0 && gallery.search(first, 5).empty());
    // More at once than are encoded on one thread where that is not asked for.
    const std::size_t many = 3000;
    std::vector<std::uint64_t> numbers;
    clearlane::Template all;
    for (std::size_t number = 0; number < many; number++) {
      const auto bytes = synthetic(extractor.model(), number);
      numbers.push_back(1000 + number);
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
    gallery.reserve(many + 2);
    gallery.insert(numbers, numbers, all);
    gallery.insert(1, 1, first);
    gallery.insert(2, 2, second);
    EXPECT(gallery.count() == many + 2);
    for (const std::size_t most : {std::size_t{1}, std::size_t{50}, many + 2, many + 100}) {
      const auto found = gallery.search(first, most);
      EXPECT(found.size() == std::min(most, many + 2) && found[0].subject == 1 && found[0].score > 0.999f);
      for (std::size_t at = 1; at < found.size(); at++) EXPECT(found[at - 1].score >= found[at].score);
    }
    // Searches after a fork: the child has the parent's gallery.
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) _exit(gallery.search(extractor.extract(other).bytes, 1)[0].subject == 2 ? 0 : 1);
    int status = 1;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);

    gallery.remove(1);
    EXPECT(gallery.search(first, 1)[0].subject != 1 && refused([&] { gallery.remove(1); }) == CLEARLANE_NOT_FOUND);
    gallery.insert(1, 1, first);
    EXPECT(gallery.search(first, 1)[0].subject == 1);
    EXPECT(refused([&] { gallery.insert(3, 1, second); }) == CLEARLANE_ARGUMENT);
    auto wrong = second;
    wrong[0] ^= 1;
    EXPECT(refused([&] { gallery.insert(3, 3, wrong); }) == CLEARLANE_TEMPLATE);
    EXPECT(refused([&] { gallery.search(wrong, 1); }) == CLEARLANE_TEMPLATE);
    EXPECT(refused([&] { gallery.search(first, 0); }) == CLEARLANE_ARGUMENT && gallery.count() == many + 2);
  }
}

int main(int count, char **arguments) {
  EXPECT(count == 4);
  const std::ptrdiff_t before = threads();
  const std::string jpeg = read(arguments[1]), other_jpeg = read(arguments[2]);
  pictures(jpeg, read(arguments[3]));
  const clearlane::Extractor extractor;
  const clearlane::Picture one(jpeg.data(), jpeg.size()), other(other_jpeg.data(), other_jpeg.size());
  templates(extractor, one.frame(), other.frame());
  galleries(extractor, one.frame(), other.frame());
  EXPECT(threads() == before);

  const auto unknown = clearlane::ExtractorOptions().embedder("nobody's");
  EXPECT(refused([&] { clearlane::Extractor{unknown}; }) == CLEARLANE_OPEN);
  EXPECT(refused([&] { clearlane::Extractor{clearlane::ExtractorOptions().models("/nowhere")}; }) == CLEARLANE_OPEN);
  return 0;
}
