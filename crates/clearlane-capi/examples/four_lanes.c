/* One port, one gallery, four lanes, each on a thread of its own: four_lanes REGISTER KEYS POLICY PORT PICTURE.ppm */
#include <clearlane.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY(call) if ((call) != CLEARLANE_OK) fprintf(stderr, "%s\n", message), exit(1)
static uint8_t pixels[1 << 24];
static clearlane_frame frame = {.size = sizeof frame, .pixels = pixels, .format = CLEARLANE_RGB8};

static void *serve(void *lane) {
  clearlane_passage passage = {.size = sizeof passage, .frames = &frame, .frame_count = 1};
  clearlane_decision decision = CLEARLANE_INIT(clearlane_decision);
  char *message;
  TRY(clearlane_pass(lane, &passage, &decision, &message));
  printf("%s %s\n", decision.admitted ? "admitted" : "referred", decision.json);
  clearlane_free(decision.json);
  clearlane_lane_close(lane);
  return NULL;
}

int main(int count, char **arguments) {
  FILE *picture = count == 6 ? fopen(arguments[5], "rb") : NULL;
  if (!picture || fscanf(picture, "P6 %u %u 255%*c", &frame.width, &frame.height) != 2) return 2;
  frame.length = fread(pixels, 1, sizeof pixels, picture), frame.stride = 3 * (size_t)frame.width;
  clearlane_port_options options = {.size = sizeof options, .register_path = arguments[1], .key_file = arguments[2],
                                    .policy_path = arguments[3], .port = arguments[4]};
  const char *names[] = {"lane 1", "lane 2", "lane 3", "lane 4"};
  pthread_t threads[4];
  clearlane_port *port;
  char *message;
  TRY(clearlane_port_open(&options, &port, &message));
  for (int index = 0; index < 4; index++) {
    clearlane_lane *lane;
    TRY(clearlane_lane_open(port, names[index], CLEARLANE_EXIT, &lane, &message));
    pthread_create(&threads[index], NULL, serve, lane);
  }
  clearlane_port_close(port); /* The lanes keep what they need of it. */
  for (int index = 0; index < 4; index++) pthread_join(threads[index], NULL);
  return fclose(picture);
}
