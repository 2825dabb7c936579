// Does with the three libraries what NIST's published validation and timing do, on fictional people, and prints what NIST's
// tables show.
//
//   driver validate PICTURES CONFIG WORK [PEOPLE] [FORKS]   PICTURES: datasets/fictional; WORK: a folder, made anew
//   driver search PICTURES CONFIG WORK COUNT [PROBES]       search times against COUNT synthetic templates
#define NIST_EXTERN_FRVT_STRUCTS_VERSION
#define NIST_EXTERN_API_VERSION
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <map>
#include <stdexcept>

#include <frvt11.h>
#include <frvt1N.h>
#include <frvt_quality.h>

#include <algorithm>
#include <chrono>
#include <clearlane.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <random>
#include <set>
#include <sstream>

#include "changing_gallery.hpp"

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;
using Eyes = std::vector<FRVT::EyePair>;
using Images = std::vector<FRVT::Image>;
using FRVT::ReturnCode;
using FRVT::TemplateRole;

#define CHECK(...)                                                                        \
  do {                                                                                    \
    if (!(__VA_ARGS__)) {                                                                 \
      std::cerr << "driver.cpp:" << __LINE__ << ": not so: " #__VA_ARGS__ << std::endl;   \
      std::_Exit(1);                                                                      \
    }                                                                                     \
  } while (false)

#define SUCCEEDS(...)                                                                                        \
  do {                                                                                                       \
    const FRVT::ReturnStatus status = (__VA_ARGS__);                                                         \
    if (status.code != ReturnCode::Success) {                                                                \
      std::cerr << "driver.cpp:" << __LINE__ << ": " #__VA_ARGS__ ": " << status.code << " " << status.info  \
                << std::endl;                                                                                \
      std::_Exit(1);                                                                                         \
    }                                                                                                        \
  } while (false)

static std::ptrdiff_t threads() {
  return std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator());
}

static double resident_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Milliseconds that `work` takes.
template <typename Work>
static double milliseconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// Figures by name, which children write to files and their parent reads.
class Figures {
 public:
  void add(const std::string &name, double value) { values_[name].push_back(value); }
  void add(const fs::path &file) {
    std::ifstream lines(file);
    std::string name;
    double value = 0;
    while (lines >> name >> value) add(name, value);
  }
  void write(const fs::path &file) const {
    std::ofstream lines(file);
    for (const auto &[name, values] : values_) {
      for (const double value : values) lines << name << ' ' << std::setprecision(9) << value << '\n';
    }
    CHECK(lines.flush());
  }
  double sum(const std::string &name) const {
    double sum = 0;
    for (const double value : of(name)) sum += value;
    return sum;
  }
  std::size_t count(const std::string &name) const { return of(name).size(); }
  // The value that this part of all lies at or below.
  double quantile(const std::string &name, double part) const {
    auto values = of(name);
    if (values.empty()) return std::nan("");
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
  }
  static void head() {
    std::cout << std::string(44, ' ') << "       5 %    median      95 %     count\n";
  }
  void row(const std::string &title, const std::string &name) const {
    std::cout << std::left << std::setw(44) << title << std::right << std::fixed << std::setprecision(2) << std::setw(10)
              << quantile(name, 0.05) << std::setw(10) << quantile(name, 0.5) << std::setw(10) << quantile(name, 0.95) << std::setw(10) << count(name) << '\n';
  }

 private:
  std::vector<double> of(const std::string &name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::vector<double>() : found->second;
  }
  std::map<std::string, std::vector<double>> values_;
};

// Runs `work` in so many children at once, each with its number, and waits for all to succeed. It is here that a library which
// started a thread before would hang, or find a lock held by nobody.
static void in_children(std::size_t forks, const std::function<void(std::size_t)> &work) {
  std::cout.flush();
  CHECK(threads() == 1);
  std::vector<pid_t> children;
  for (std::size_t number = 0; number < forks; number++) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      work(number);
      CHECK(threads() == 1);
      std::_Exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}

static FRVT::Image blank_image(std::uint16_t width, std::uint16_t height, std::uint8_t depth) {
  FRVT::Image image;
  image.width = width, image.height = height, image.depth = depth;
  image.data.reset(new std::uint8_t[image.size() + 1](), std::default_delete<std::uint8_t[]>());
  return image;
}

static FRVT::Image read_image(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file.is_open());
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const clearlane::Picture picture(bytes.data(), bytes.size());
  const clearlane_frame &frame = picture.frame();
  FRVT::Image image = blank_image(static_cast<std::uint16_t>(frame.width), static_cast<std::uint16_t>(frame.height), 24);
  std::memcpy(image.data.get(), frame.pixels, frame.length);
  return image;
}

// Two images of one height, side by side.
static FRVT::Image beside(const FRVT::Image &left, const FRVT::Image &right) {
  FRVT::Image image = blank_image(static_cast<std::uint16_t>(left.width + right.width), left.height, 24);
  std::size_t at = 0;
  for (std::size_t y = 0; y < left.height; y++) {
    for (const FRVT::Image *part : {&left, &right}) {
      std::memcpy(image.data.get() + at, part->data.get() + 3 * y * part->width, 3 * std::size_t{part->width});
      at += 3 * std::size_t{part->width};
    }
  }
  return image;
}

// Images that show nobody.
static std::vector<std::pair<std::string, FRVT::Image>> bad_images() {
  std::vector<std::pair<std::string, FRVT::Image>> images = {
      {"black", blank_image(640, 480, 24)}, {"black-grey", blank_image(640, 480, 8)}, {"one-pixel", blank_image(1, 1, 24)},
      {"tiny", blank_image(8, 8, 8)},       {"narrow", blank_image(2000, 2, 24)},     {"empty", blank_image(0, 0, 24)},
      {"sixteen-bit", blank_image(64, 64, 16)}};
  FRVT::Image noise = blank_image(320, 240, 24);
  std::mt19937 random(1);
  for (std::size_t at = 0; at < noise.size(); at++) noise.data.get()[at] = static_cast<std::uint8_t>(random());
  images.emplace_back("noise", noise);
  return images;
}

// Headers of 1:1 before 6.0 have another name for it.
template <typename Interface, typename Given, typename Templates>
static auto create(Interface &matcher, const Given &given, TemplateRole role, Templates &made, Eyes &eyes, int)
    -> decltype(matcher.createFaceTemplate(given, role, made, eyes)) {
  return matcher.createFaceTemplate(given, role, made, eyes);
}
template <typename Interface, typename Given, typename Templates>
static auto create(Interface &matcher, const Given &given, TemplateRole role, Templates &made, Eyes &eyes, long)
    -> decltype(matcher.createTemplate(given, role, made, eyes)) {
  return matcher.createTemplate(given, role, made, eyes);
}

struct Capture {
  std::string person, name;
  fs::path path;
};

// The pictures of a folder of people, by name; of `people` people at most.
static std::vector<Capture> captures(const fs::path &folder, std::size_t people) {
  std::vector<fs::path> folders(fs::directory_iterator(folder), fs::directory_iterator{});
  std::sort(folders.begin(), folders.end());
  folders.resize(std::min(folders.size(), people));
  std::vector<Capture> all;
  for (const auto &person : folders) {
    std::vector<fs::path> files(fs::directory_iterator(person), fs::directory_iterator{});
    std::sort(files.begin(), files.end());
    for (const auto &file : files) all.push_back({person.filename().string(), file.stem().string(), file});
  }
  CHECK(!all.empty());
  return all;
}

// The folders of one run, made anew.
struct Work {
  fs::path log, edb, enrolment;

  explicit Work(const fs::path &folder) : log(folder / "log"), edb(folder / "edb"), enrolment(folder / "enrolment") {
    for (const auto &each : {log, edb, enrolment}) {
      if (fs::exists(each)) fs::permissions(each, fs::perms::owner_all);
      fs::remove_all(each);
      fs::create_directories(each);
    }
  }
  // Who made it can take it away.
  ~Work() {
    std::error_code ignored;
    fs::permissions(enrolment, fs::perms::owner_all, ignored);
  }
  Work(const Work &) = delete;
  Work &operator=(const Work &) = delete;
};

// Templates one after the other, and the lines that say where each begins.
class Edb {
 public:
  explicit Edb(const fs::path &folder, const std::string &suffix = "")
      : edb_(folder / ("edb" + suffix), std::ios::binary), manifest_(folder / ("manifest" + suffix)) {}
  void add(const std::string &name, const Bytes &bytes) {
    manifest_ << name << ' ' << bytes.size() << ' ' << static_cast<std::uint64_t>(edb_.tellp()) << '\n';
    edb_.write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  // A hole in the file, which takes no room on the disk.
  void skip(std::uint64_t bytes) { edb_.seekp(static_cast<std::streamoff>(bytes), std::ios::cur); }
  ~Edb() { CHECK(edb_.flush() && manifest_.flush()); }

 private:
  std::ofstream edb_, manifest_;
};

// Puts the children's parts together.
static void join(const fs::path &folder, std::size_t parts) {
  std::ofstream edb(folder / "edb", std::ios::binary), manifest(folder / "manifest");
  std::uint64_t before = 0;
  for (std::size_t part = 0; part < parts; part++) {
    const auto suffix = "." + std::to_string(part);
    std::ifstream lines(folder / ("manifest" + suffix)), bytes(folder / ("edb" + suffix), std::ios::binary);
    std::string name;
    std::uint64_t length = 0, offset = 0;
    while (lines >> name >> length >> offset) manifest << name << ' ' << length << ' ' << before + offset << '\n';
    const auto size = fs::file_size(folder / ("edb" + suffix));
    if (size > 0) edb << bytes.rdbuf();
    before += size;
  }
  CHECK(edb.flush() && manifest.flush());
}

// In a process of its own, after which the input is gone and the directory read-only.
static double finalise(const Work &work, const std::string &config) {
  double took = 0;
  const auto timing = work.log / "finalise";
  in_children(1, [&](std::size_t) {
    auto library = FRVT_1N::Interface::getImplementation();
    const double spent = milliseconds([&] {
      SUCCEEDS(library->finalizeEnrollment(config, work.enrolment, work.edb / "edb", work.edb / "manifest",
                                           FRVT_1N::GalleryType::Unconsolidated));
    });
    Figures figures;
    figures.add("finalise", spent);
    figures.write(timing);
  });
  Figures figures;
  figures.add(timing);
  took = figures.sum("finalise");
  fs::remove_all(work.edb);
  for (const auto &file : fs::directory_iterator(work.enrolment)) {
    fs::permissions(file, fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read);
  }
  fs::permissions(work.enrolment, fs::perms::owner_read | fs::perms::owner_exec);
  return took;
}

// Names, sizes and times of the enrolment directory: a superuser could write where nobody may.
static std::string state_of(const fs::path &folder) {
  std::set<std::string> lines;
  for (const auto &file : fs::directory_iterator(folder)) {
    struct stat status {};
    CHECK(stat(file.path().c_str(), &status) == 0);
    std::ostringstream line;
    line << file.path().filename() << ' ' << status.st_size << ' ' << status.st_mtim.tv_sec << '.' << status.st_mtim.tv_nsec;
    lines.insert(line.str());
  }
  std::string all;
  for (const auto &line : lines) all += line + '\n';
  return all;
}

// A search: as many candidates as were asked for, the best first, nobody twice; those beyond the gallery's are not assigned.
static std::vector<FRVT_1N::Candidate> identify(FRVT_1N::Interface &library, const Bytes &probe, std::uint32_t length,
                                                std::size_t enrolled, double *took = nullptr) {
  std::vector<FRVT_1N::Candidate> candidates;
  const double spent = milliseconds([&] { SUCCEEDS(library.identifyTemplate(probe, length, candidates)); });
  if (took) *took = spent;
  CHECK(candidates.size() == length);
  std::set<std::string> names;
  for (std::size_t at = 0; at < candidates.size(); at++) {
    CHECK(candidates[at].isAssigned == (at < enrolled));
    if (!candidates[at].isAssigned) continue;
    CHECK(names.insert(candidates[at].templateId).second && candidates[at].score >= 0);
    CHECK(at == 0 || candidates[at - 1].score >= candidates[at].score);
  }
  return candidates;
}

static void enrol(const Work &work, const std::string &config, const std::vector<Capture> &all, std::size_t forks) {
  auto library = FRVT_1N::Interface::getImplementation();
  SUCCEEDS(library->initializeTemplateCreation(config, TemplateRole::Enrollment_1N));
  in_children(forks, [&](std::size_t number) {
    const auto suffix = "." + std::to_string(number);
    Edb edb(work.edb, suffix);
    std::ofstream log(work.log / ("enrol" + suffix));
    Figures figures;
    for (std::size_t at = number; at < all.size(); at += forks) {
      if (all[at].name != "enrol") continue;
      const Images images{read_image(all[at].path)};
      Bytes bytes;
      Eyes eyes;
      figures.add("template", milliseconds([&] {
        SUCCEEDS(library->createFaceTemplate(images, TemplateRole::Enrollment_1N, bytes, eyes));
      }));
      figures.add("size", static_cast<double>(bytes.size()));
      CHECK(eyes.size() == 1 && eyes[0].isLeftAssigned && eyes[0].isRightAssigned && eyes[0].xleft > eyes[0].xright);
      edb.add(all[at].person, bytes);
      log << all[at].person << ' ' << all[at].path.string() << ' ' << bytes.size() << " 0 " << eyes[0].xleft << ' '
          << eyes[0].yleft << ' ' << eyes[0].xright << ' ' << eyes[0].yright << '\n';
    }
    if (number == 0) {
      // Templates of those who show no face are blank, and are enrolled as all others.
      for (const auto &[name, image] : bad_images()) {
        Bytes bytes{1, 2, 3};
        std::vector<Bytes> several;
        Eyes eyes;
        const auto status = library->createFaceTemplate(Images{image}, TemplateRole::Enrollment_1N, bytes, eyes);
        CHECK(status.code != ReturnCode::Success && bytes.empty() && eyes.size() == 1 && !eyes[0].isLeftAssigned);
        CHECK(library->createFaceTemplate(image, TemplateRole::Enrollment_1N, several, eyes).code != ReturnCode::Success);
        CHECK(several.size() == 1 && several[0].empty() && eyes.size() == 1);
        edb.add("blank-" + name, bytes);
        log << "blank-" << name << " - 0 " << static_cast<int>(status.code) << '\n';
      }
      Bytes bytes;
      std::vector<FRVT::IrisAnnulus> irises;
      const Images images{blank_image(8, 8, 8)};
      CHECK(library->createIrisTemplate(images, TemplateRole::Enrollment_1N, bytes, irises).code == ReturnCode::NotImplemented);
      CHECK(library->createFaceAndIrisTemplate(images, TemplateRole::Enrollment_1N, bytes).code == ReturnCode::NotImplemented);
    }
    figures.write(work.log / ("figures.enrol" + suffix));
  });
  join(work.edb, forks);
}

static void search(const Work &work, const std::string &config, const std::vector<Capture> &known,
                   const std::vector<Capture> &unknown, std::size_t enrolled, std::size_t forks) {
  const auto before = state_of(work.enrolment);
  auto library = FRVT_1N::Interface::getImplementation();
  SUCCEEDS(library->initializeTemplateCreation(config, TemplateRole::Search_1N));
  SUCCEEDS(library->initializeIdentification(config, work.enrolment));
  std::vector<Capture> probes;
  for (const auto &capture : known) {
    if (capture.name != "enrol") probes.push_back(capture);
  }
  probes.insert(probes.end(), unknown.begin(), unknown.end());
  in_children(forks, [&](std::size_t number) {
    const auto suffix = "." + std::to_string(number);
    std::ofstream log(work.log / ("search" + suffix));
    Figures figures;
    for (std::size_t at = number; at < probes.size(); at += forks) {
      const auto &[person, name, path] = probes[at];
      const bool mated = at < probes.size() - unknown.size(), plain = name.rfind("plain", 0) == 0;
      Bytes bytes;
      Eyes eyes;
      const auto status = library->createFaceTemplate(Images{read_image(path)}, TemplateRole::Search_1N, bytes, eyes);
      const std::string kind = std::string(mated ? "mated" : "non-mated") + (plain ? "-plain" : "-hard");
      figures.add("searches-" + kind, 1);
      if (status.code != ReturnCode::Success) {
        CHECK(bytes.empty());
        figures.add("failed-" + kind, 1);
        log << person << ' ' << name << " - " << static_cast<int>(status.code) << '\n';
        continue;
      }
      for (const std::uint32_t length : {1u, 20u, 50u, static_cast<std::uint32_t>(enrolled + 7)}) {
        const auto candidates = identify(*library, bytes, length, enrolled);
        if (length == 1 && mated && candidates[0].templateId != person) figures.add("missed-" + kind, 1);
        if (length == 1) figures.add("score-" + kind, candidates[0].score);
        if (length != 20) continue;
        for (std::size_t rank = 0; rank < length; rank++) {
          log << person << ' ' << name << ' ' << rank << " 0 " << candidates[rank].isAssigned << ' '
              << candidates[rank].templateId << ' ' << std::setprecision(10) << candidates[rank].score << '\n';
        }
      }
    }
    if (number > 0) {
      figures.write(work.log / ("figures.search" + suffix));
      return;
    }
    // Two people in one image: two templates, and each is found.
    const auto image = beside(read_image(probes[0].path), read_image(probes.back().path));
    std::vector<Bytes> templates;
    Eyes eyes;
    SUCCEEDS(library->createFaceTemplate(image, TemplateRole::Search_1N, templates, eyes));
    CHECK(templates.size() == 2 && eyes.size() == 2);
    std::set<std::string> best;
    for (const auto &bytes : templates) best.insert(identify(*library, bytes, 1, enrolled)[0].templateId);
    CHECK(best.count(probes[0].person) == 1);
    // Several images of one person: one template, which finds them.
    Bytes bytes;
    const Images images{read_image(probes[0].path), bad_images()[0].second, read_image(probes[1].path)};
    SUCCEEDS(library->createFaceTemplate(images, TemplateRole::Search_1N, bytes, eyes));
    CHECK(eyes.size() == 3 && eyes[0].isLeftAssigned && !eyes[1].isLeftAssigned && eyes[2].isLeftAssigned);
    CHECK(identify(*library, bytes, 1, enrolled)[0].templateId == probes[0].person);
    // A blank template finds nobody, and says so.
    std::vector<FRVT_1N::Candidate> nobody;
    CHECK(library->identifyTemplate({}, 5, nobody).code != ReturnCode::Success && nobody.size() == 5 && !nobody[0].isAssigned);
    CHECK(library->identifyTemplate(Bytes(bytes.size()), 5, nobody).code != ReturnCode::Success && nobody.size() == 5);

    // Somebody comes, is found, and goes.
    auto *changing = dynamic_cast<frte::ChangingGallery *>(library.get());
    CHECK(changing != nullptr);
    SUCCEEDS(library->createFaceTemplate(Images{read_image(unknown[0].path)}, TemplateRole::Enrollment_1N, bytes, eyes));
    CHECK(identify(*library, bytes, 1, enrolled)[0].score < 0.9);
    SUCCEEDS(changing->galleryInsertID(bytes, unknown[0].person));
    CHECK(changing->galleryInsertID(bytes, unknown[0].person).code != ReturnCode::Success);
    const auto found = identify(*library, bytes, 3, enrolled + 1)[0];
    CHECK(found.templateId == unknown[0].person && found.score > 0.999);
    SUCCEEDS(changing->galleryDeleteID(unknown[0].person));
    CHECK(changing->galleryDeleteID(unknown[0].person).code != ReturnCode::Success);
    CHECK(identify(*library, bytes, 1, enrolled)[0].templateId != unknown[0].person);
    SUCCEEDS(changing->galleryInsertID({}, "blank"));
    figures.write(work.log / ("figures.search" + suffix));
  });
  CHECK(state_of(work.enrolment) == before);
}

// An EDB of more bytes than 32 bits can count: a hole lies between its templates.
static void large_edb(const fs::path &folder, const std::string &config, const fs::path &one, const fs::path &other) {
  const Work work(folder);
  auto library = FRVT_1N::Interface::getImplementation();
  SUCCEEDS(library->initializeTemplateCreation(config, TemplateRole::Enrollment_1N));
  Bytes first, second;
  Eyes eyes;
  SUCCEEDS(library->createFaceTemplate(Images{read_image(one)}, TemplateRole::Enrollment_1N, first, eyes));
  SUCCEEDS(library->createFaceTemplate(Images{read_image(other)}, TemplateRole::Enrollment_1N, second, eyes));
  {
    Edb edb(work.edb);
    edb.add("first", first);
    edb.skip((std::uint64_t{1} << 32) + 12345);
    edb.add("second", second);
  }
  CHECK(fs::file_size(work.edb / "edb") > (std::uint64_t{1} << 32));
  finalise(work, config);
  SUCCEEDS(library->initializeIdentification(config, work.enrolment));
  CHECK(identify(*library, second, 2, 2)[0].templateId == "second");
  // Whatever is wrong with an EDB or its manifest is an answer.
  for (const std::string manifest : {"a 4 0\n", "a 544 99999999999\n", "a 544\n", "a b c\n"}) {
    const Work damaged(folder);
    std::ofstream(damaged.edb / "edb") << std::string(1000, '\7');
    std::ofstream(damaged.edb / "manifest") << manifest;
    CHECK(library->finalizeEnrollment(config, damaged.enrolment, damaged.edb / "edb", damaged.edb / "manifest",
                                      FRVT_1N::GalleryType::Consolidated).code != ReturnCode::Success);
  }
  CHECK(library->initializeIdentification(config, folder / "nowhere").code != ReturnCode::Success);
}

static void verify(const Work &work, const std::string &config, const std::vector<Capture> &all, std::size_t forks) {
  auto library = FRVT_11::Interface::getImplementation();
  SUCCEEDS(library->initialize(config));
  in_children(forks, [&](std::size_t number) {
    const auto suffix = "." + std::to_string(number);
    std::ofstream log(work.log / ("match" + suffix));
    Figures figures;
    std::vector<std::pair<std::string, Bytes>> references, probes;
    for (std::size_t at = 0; at < all.size(); at++) {
      const bool reference = all[at].name == "enrol";
      if (!reference && (all[at].name != "plain-1" || at % forks != number)) continue;
      const auto role = reference ? TemplateRole::Enrollment_11 : TemplateRole::Verification_11;
      Bytes bytes;
      Eyes eyes;
      SUCCEEDS(create(*library, Images{read_image(all[at].path)}, role, bytes, eyes, 0));
      (reference ? references : probes).emplace_back(all[at].person, bytes);
    }
    for (const auto &[person, probe] : probes) {
      for (const auto &[other, reference] : references) {
        double score = -2;
        figures.add("match", 1000 * milliseconds([&] { SUCCEEDS(library->matchTemplates(probe, reference, score)); }));
        CHECK(score >= 0);
        figures.add(person == other ? "mated" : "non-mated", score);
        log << person << ' ' << other << ' ' << std::setprecision(10) << score << " 0\n";
      }
    }
    for (const auto &[name, image] : bad_images()) {
      Bytes bytes;
      std::vector<Bytes> several;
      Eyes eyes;
      CHECK(create(*library, Images{image}, TemplateRole::Verification_11, bytes, eyes, 0).code != ReturnCode::Success);
      CHECK(create(*library, image, TemplateRole::Verification_11, several, eyes, 0).code != ReturnCode::Success);
      CHECK(several.size() == 1 && eyes.size() == 1);
      double score = 0;
      CHECK(library->matchTemplates(bytes, references[0].second, score).code == ReturnCode::VerifTemplateError && score == -1);
      CHECK(library->matchTemplates(references[0].second, several[0], score).code == ReturnCode::VerifTemplateError && score == -1);
    }
    double score = 0;
    CHECK(library->matchTemplates(Bytes(7), references[0].second, score).code != ReturnCode::Success && score == -1);
    figures.write(work.log / ("figures.match" + suffix));
  });
}

static void assess(const std::string &config, const fs::path &path) {
  auto library = FRVT_QUALITY::Interface::getImplementation();
  SUCCEEDS(library->initialize(config));
  in_children(1, [&](std::size_t) {
    using Measure = FRVT_QUALITY::QualityMeasure;
    const auto image = read_image(path);
    FRVT_QUALITY::ImageQualityAssessment assessment;
    SUCCEEDS(library->vectorQuality(image, assessment));
    const auto &measures = assessment.qAssessments;
    CHECK(measures.at(Measure::TotalFacesPresent) == 1 && std::abs(measures.at(Measure::SubjectPoseYaw)) < 15);
    CHECK(measures.at(Measure::InterEyeDistance) > 50 && measures.at(Measure::FaceOcclusion) < 0.5);
    CHECK(measures.at(Measure::Underexposure) >= 0 && measures.at(Measure::Overexposure) <= 1);
    const double across = measures.at(Measure::PixelsFromEyeToLeftEdge) + measures.at(Measure::PixelsFromEyeToRightEdge);
    CHECK(std::abs(across + measures.at(Measure::InterEyeDistance) - image.width) < 8);
    const auto &box = assessment.boundingBox;
    CHECK(box.xleft >= 0 && box.ytop >= 0 && box.width > 50 && box.xleft + box.width <= image.width);
    for (const auto &[name, bad] : bad_images()) {
      FRVT_QUALITY::ImageQualityAssessment none;
      CHECK(library->vectorQuality(bad, none).code != ReturnCode::Success);
    }
  });
}

static int validate(const fs::path &pictures, const std::string &config, const fs::path &folder, std::size_t people,
                    std::size_t forks) {
  const Work work(folder);
  const auto known = captures(pictures / "enrolled", people), unknown = captures(pictures / "unknown", people);
  std::set<std::string> names;
  for (const auto &capture : known) names.insert(capture.person);
  const std::size_t enrolled = names.size();

  enrol(work, config, known, forks);
  finalise(work, config);
  search(work, config, known, unknown, enrolled, forks);
  verify(work, config, known, forks);
  assess(config, known[0].path);
  large_edb(folder / "large", config, known[0].path, unknown[0].path);

  Figures figures;
  for (const auto &file : fs::directory_iterator(work.log)) {
    if (file.path().filename().string().rfind("figures.", 0) == 0) figures.add(file.path());
  }
  Figures::head();
  figures.row("template, ms", "template");
  figures.row("template, bytes", "size");
  figures.row("comparison (1:1), us", "match");
  figures.row("similarity, mated (1:1)", "mated");
  figures.row("similarity, non-mated (1:1)", "non-mated");
  for (const std::string kind : {"mated-plain", "mated-hard", "non-mated-plain", "non-mated-hard"}) {
    std::cout << std::left << std::setw(44) << "searches, " + kind << std::right << std::setw(10)
              << figures.count("searches-" + kind) << ", without a template " << figures.count("failed-" + kind);
    if (kind.rfind("mated", 0) == 0) std::cout << ", mate not first " << figures.count("missed-" + kind);
    std::cout << '\n';
  }
  // Fictional people are told apart by the built-in models: a defect of this code would show here first.
  CHECK(figures.count("missed-mated-plain") == 0 && figures.count("failed-mated-plain") == 0);
  CHECK(figures.quantile("mated", 0) > figures.quantile("non-mated", 0.5));
  std::cout << "all as it should be: " << enrolled << " people, " << forks << " processes, one thread in each\n";
  return 0;
}

// Unit vectors in the template format of clearlane, evenly spread: a model's bytes, then values.
class Synthetic {
 public:
  explicit Synthetic(const Bytes &model) : model_(model), values_((model.size() - 32) / 4) {}
  const Bytes &next() {
    for (float &value : values_) value = normal_(random_);
    return of(values_);
  }
  // One whose cosine with these values is about `cosine`.
  const Bytes &mate(const Bytes &bytes, float cosine) {
    std::vector<float> to(values_.size()), mate(values_.size());
    std::memcpy(to.data(), bytes.data() + 32, 4 * to.size());
    const float noise = std::sqrt((1 - cosine * cosine) / static_cast<float>(to.size()));
    for (std::size_t at = 0; at < to.size(); at++) mate[at] = cosine * to[at] + noise * normal_(random_);
    return of(mate);
  }

 private:
  const Bytes &of(std::vector<float> &values) {
    double square = 0;
    for (const float value : values) square += double{value} * value;
    const auto norm = static_cast<float>(std::sqrt(square));
    for (float &value : values) value /= norm;
    std::memcpy(model_.data() + 32, values.data(), 4 * values.size());
    return model_;
  }
  Bytes model_;
  std::vector<float> values_;
  std::mt19937_64 random_{1};
  std::normal_distribution<float> normal_;
};

static int time_searches(const fs::path &pictures, const std::string &config, const fs::path &folder, std::size_t count,
                         std::size_t probes) {
  const Work work(folder);
  auto library = FRVT_1N::Interface::getImplementation();
  SUCCEEDS(library->initializeTemplateCreation(config, TemplateRole::Enrollment_1N));
  Bytes model;
  Eyes eyes;
  SUCCEEDS(library->createFaceTemplate(Images{read_image(captures(pictures / "enrolled", 1)[0].path)},
                                       TemplateRole::Enrollment_1N, model, eyes));
  Synthetic synthetic(model);
  std::vector<std::pair<std::string, Bytes>> mates;
  {
    Edb edb(work.edb);
    for (std::size_t number = 0; number < count; number++) {
      const auto name = "s" + std::to_string(number);
      const Bytes &bytes = synthetic.next();
      edb.add(name, bytes);
      if (number % (count / probes + 1) == 0) mates.emplace_back(name, bytes);
    }
  }
  const double bytes = static_cast<double>(fs::file_size(work.edb / "edb"));
  const double finalising = finalise(work, config);
  const double opening = milliseconds([&] { SUCCEEDS(library->initializeIdentification(config, work.enrolment)); });
  Figures figures;
  std::size_t missed = 0;
  for (const auto &[name, enrolled] : mates) {
    const Bytes mate = synthetic.mate(enrolled, 0.7f), other = synthetic.next();
    for (const bool mated : {true, false}) {
      for (const std::uint32_t length : {1u, 50u}) {
        double took = 0;
        const auto found = identify(*library, mated ? mate : other, length, count, &took);
        figures.add((mated ? "mated-" : "non-mated-") + std::to_string(length), took);
        if (mated && length == 1 && found[0].templateId != name) missed++;
      }
    }
  }
  CHECK(threads() == 1);
  std::cout << count << " templates of " << model.size() << " bytes, " << std::fixed << std::setprecision(2) << bytes / 1e9
            << " GB; finalised in " << finalising / 1000 << " s, opened in " << opening / 1000 << " s; "
            << resident_megabytes() << " MB of memory at most\n";
  Figures::head();
  figures.row("search, mated, L = 1, ms", "mated-1");
  figures.row("search, mated, L = 50, ms", "mated-50");
  figures.row("search, non-mated, L = 1, ms", "non-mated-1");
  figures.row("search, non-mated, L = 50, ms", "non-mated-50");
  std::cout << "mates that were not first: " << missed << " of " << mates.size() << '\n';
  return 0;
}

int main(int count, char **arguments) try {
  const std::vector<std::string> given(arguments + 1, arguments + count);
  const auto number = [&](std::size_t at, std::size_t otherwise) {
    return given.size() > at ? static_cast<std::size_t>(std::stoull(given[at])) : otherwise;
  };
  if (given.size() >= 4 && given.size() <= 6 && given[0] == "validate") {
    return validate(given[1], given[2], given[3], std::max<std::size_t>(number(4, 100), 2), std::max<std::size_t>(number(5, 2), 1));
  }
  if (given.size() >= 5 && given.size() <= 6 && given[0] == "search") {
    return time_searches(given[1], given[2], given[3], std::max<std::size_t>(number(4, 0), 1), std::max<std::size_t>(number(5, 200), 1));
  }
  std::cerr << "driver validate PICTURES CONFIG WORK [PEOPLE] [FORKS]\ndriver search PICTURES CONFIG WORK COUNT [PROBES]\n";
  return 2;
} catch (const std::exception &error) {
  std::cerr << error.what() << '\n';
  return 1;
}
