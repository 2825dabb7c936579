// One port, one gallery, four lanes, each on a thread of its own: four_lanes REGISTER KEYS POLICY PORT PICTURE.ppm
#include <clearlane.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

static void serve(const clearlane::Lane &lane, const clearlane_frame &frame) {
  const clearlane::Decision decision = lane.pass({frame});
  std::cout << (decision.admitted ? "admitted " : "referred ") + decision.json + "\n";
}

int main(int count, char **arguments) try {
  if (count != 6) return 2;
  std::ifstream picture(arguments[5], std::ios::binary);
  std::string format;
  std::uint32_t width = 0, height = 0, levels = 0;
  picture >> format >> width >> height >> levels;
  picture.get();
  const std::string pixels{std::istreambuf_iterator<char>(picture), {}};
  const auto frame = clearlane::frame(CLEARLANE_RGB8, width, height, 3 * width, pixels.data(), pixels.size());

  clearlane::PortOptions options(arguments[1]);
  options.key_file(arguments[2]).policy(arguments[3]).port(arguments[4]);
  const clearlane::Port port(options);
  std::vector<std::thread> threads;
  for (int number = 1; number <= 4; number++) {
    auto lane = port.lane("lane " + std::to_string(number), CLEARLANE_EXIT);
    threads.emplace_back([lane = std::move(lane), &frame] { serve(lane, frame); });
  }
  for (auto &thread : threads) thread.join();
} catch (const std::exception &error) {
  std::cerr << error.what() << '\n';
  return 1;
}
