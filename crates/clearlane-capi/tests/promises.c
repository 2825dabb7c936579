/* What the head of the header promises, and the callbacks: sizes of older and newer structs, handles in any order, texts. */
#include <clearlane.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                               \
  if (!(condition)) {                                                   \
    fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);     \
    exit(1);                                                            \
  }

struct keys {
  uint8_t bytes[32];
  int asked, released;
};

static clearlane_status key_of(void *user, const uint8_t *id, uint8_t *key) {
  struct keys *keys = user;
  keys->asked++;
  (void)id;
  memcpy(key, keys->bytes, 32);
  return CLEARLANE_OK;
}

static clearlane_status no_key(void *user, const uint8_t *id, uint8_t *key) {
  (void)user, (void)id, (void)key;
  return CLEARLANE_NOT_FOUND;
}

static clearlane_status forgotten_key(void *user, const uint8_t *id, uint8_t *key) {
  (void)user, (void)id, (void)key;
  return CLEARLANE_OK;
}

static void released(void *user) { ((struct keys *)user)->released++; }

static char log_text[1 << 16];

static void logged(void *user, clearlane_log_level level, const char *target, const char *text) {
  (void)user;
  EXPECT(level >= CLEARLANE_LOG_ERROR && level <= CLEARLANE_LOG_INFO && strstr(target, "clearlane") != NULL);
  strncat(log_text, text, sizeof log_text - strlen(log_text) - 1);
}

static clearlane_frame read_picture(const char *path) {
  static uint8_t pixels[1 << 24];
  clearlane_frame frame = {.size = sizeof frame, .pixels = pixels, .format = CLEARLANE_RGB8};
  FILE *file = fopen(path, "rb");
  EXPECT(file != NULL && fscanf(file, "P6 %u %u 255%*c", &frame.width, &frame.height) == 2);
  frame.length = fread(pixels, 1, sizeof pixels, file), frame.stride = 3 * (size_t)frame.width;
  fclose(file);
  return frame;
}

/* What is said of a frame, and that the smallest face is the one that the options name. */
static void doubts(const clearlane_port *port, const clearlane_port_options *base, const clearlane_frame *frame) {
  char *json;
  EXPECT(clearlane_doubts(port, frame, &json, NULL) == CLEARLANE_OK);
  EXPECT(strcmp(json, "[]") == 0);
  clearlane_free(json);
  clearlane_port_options options = *base;
  options.smallest_face = 0.99f;
  options.orientation = CLEARLANE_ANY_WAY;
  clearlane_port *other;
  EXPECT(clearlane_port_open(&options, &other, NULL) == CLEARLANE_OK);
  EXPECT(clearlane_doubts(other, frame, &json, NULL) == CLEARLANE_NO_TEMPLATE && json == NULL);
  EXPECT(clearlane_port_close(other) == CLEARLANE_OK);
}

static void callbacks(const clearlane_port_options *base, const char *key_file) {
  struct keys keys = {{0}, 0, 0};
  FILE *file = fopen(key_file, "r");
  EXPECT(file != NULL);
  for (int at = 0; at < 32; at++) {
    unsigned byte;
    EXPECT(fscanf(file, "%2x", &byte) == 1);
    keys.bytes[at] = (uint8_t)byte;
  }
  fclose(file);

  clearlane_port_options options = *base;
  clearlane_port *port;
  char *message;
  options.keys_user = &keys, options.keys_release = released;
  options.keys = key_of; /* beside `key_file` */
  EXPECT(clearlane_port_open(&options, &port, &message) == CLEARLANE_ARGUMENT && port == NULL);
  EXPECT(strstr(message, "key_file") != NULL && keys.released == 1 && clearlane_free(message) == CLEARLANE_OK);
  options.key_file = NULL;
  const clearlane_key_callback wrong[] = {no_key, forgotten_key};
  for (int at = 0; at < 2; at++) {
    options.keys = wrong[at];
    EXPECT(clearlane_port_open(&options, &port, &message) == CLEARLANE_OPEN && keys.released == 2 + at);
    clearlane_free(message);
  }
  options.keys = NULL;
  EXPECT(clearlane_port_open(&options, &port, NULL) == CLEARLANE_ARGUMENT);

  options.keys = key_of;
  EXPECT(clearlane_port_open(&options, &port, NULL) == CLEARLANE_OK && keys.asked > 0);
  clearlane_lane *lane;
  EXPECT(clearlane_lane_open(port, "lane 1", CLEARLANE_EXIT, &lane, NULL) == CLEARLANE_OK);
  /* The lane keeps the port's keys; the last one to go releases them, once. */
  EXPECT(clearlane_port_close(port) == CLEARLANE_OK && keys.released == 3);
  EXPECT(clearlane_lane_close(lane) == CLEARLANE_OK && keys.released == 4);
}

/* A header of another age: structs that are smaller or larger than those of the library. */
static void sizes(const clearlane_lane *lane, const clearlane_frame *frame) {
  char *message;
  clearlane_decision decision = CLEARLANE_INIT(clearlane_decision);
  clearlane_passage passage = {.size = sizeof passage, .frames = frame, .frame_count = 1};

  struct { clearlane_passage known; uint64_t unknown; } newer = {passage, 0};
  newer.known.size = sizeof newer;
  EXPECT(clearlane_pass(lane, &newer.known, &decision, NULL) == CLEARLANE_OK && decision.admitted);
  clearlane_free(decision.json);
  newer.unknown = 1;
  EXPECT(clearlane_pass(lane, &newer.known, &decision, &message) == CLEARLANE_SIZE && !decision.admitted);
  EXPECT(strstr(message, "byte 48") != NULL && clearlane_free(message) == CLEARLANE_OK);

  /* Without evidence and budget, and a frame without a chroma plane: nothing behind the stated size is read. */
  size_t least = offsetof(clearlane_frame, chroma);
  clearlane_frame *older_frame = malloc(least);
  EXPECT(older_frame != NULL);
  memcpy(older_frame, frame, least);
  older_frame->size = least;
  clearlane_passage *older = malloc(offsetof(clearlane_passage, evidence));
  EXPECT(older != NULL);
  older->size = offsetof(clearlane_passage, evidence), older->frames = older_frame, older->frame_count = 1;
  EXPECT(clearlane_pass(lane, older, &decision, NULL) == CLEARLANE_OK && decision.admitted);
  clearlane_free(decision.json);
  free(older);
  free(older_frame);

  /* An array's structs are as far apart as they say that they are large, and all say the same. */
  struct { clearlane_frame known; uint8_t more[16]; } pair[2] = {{*frame, {0}}, {*frame, {0}}};
  pair[0].known.size = pair[1].known.size = sizeof pair[0];
  passage.frames = &pair[0].known, passage.frame_count = 2;
  EXPECT(clearlane_pass(lane, &passage, &decision, NULL) == CLEARLANE_OK && decision.admitted);
  clearlane_free(decision.json);
  pair[1].known.size = sizeof(clearlane_frame);
  EXPECT(clearlane_pass(lane, &passage, &decision, &message) == CLEARLANE_SIZE);
  EXPECT(strstr(message, "frames[1]") != NULL && clearlane_free(message) == CLEARLANE_OK);

  /* What a newer decision has beyond this one is zero. */
  struct { clearlane_decision known; uint64_t more; } answer;
  memset(&answer, 0xff, sizeof answer);
  answer.known.size = sizeof answer;
  passage.frame_count = 1;
  EXPECT(clearlane_pass(lane, &passage, &answer.known, NULL) == CLEARLANE_OK && answer.known.admitted);
  EXPECT(answer.more == 0 && answer.known.size == sizeof answer);
  clearlane_free(answer.known.json);
  const size_t wrong[] = {0, 1, 8, sizeof(clearlane_decision) - 8, sizeof(clearlane_decision) + 1, 1 << 20, SIZE_MAX};
  for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) {
    answer.known.size = wrong[at];
    EXPECT(clearlane_pass(lane, &passage, &answer.known, NULL) == CLEARLANE_SIZE);
  }
}

static void bytes_that_are_no_frame(const clearlane_lane *lane, const clearlane_frame *good) {
  clearlane_frame bad[7] = {*good, *good, *good, *good, *good, *good, *good};
  bad[0].length--;
  bad[1].stride--;
  bad[2].width = 0;
  bad[3].height = UINT32_MAX;
  bad[4].format = 0;
  bad[5].colour = 9;
  bad[6].chroma = good->pixels;
  for (size_t at = 0; at < 7; at++) {
    clearlane_passage passage = {.size = sizeof passage, .frames = &bad[at], .frame_count = 1};
    clearlane_decision decision = CLEARLANE_INIT(clearlane_decision);
    char *message;
    decision.admitted = true;
    EXPECT(clearlane_pass(lane, &passage, &decision, &message) == (at < 4 ? CLEARLANE_FRAME : CLEARLANE_ARGUMENT));
    EXPECT(!decision.admitted && decision.json == NULL && strlen(message) > 10);
    clearlane_free(message);
  }
}

static void *close_later(void *lane) {
  clearlane_lane_close(lane);
  return NULL;
}

static void handles(clearlane_port *port, const clearlane_frame *frame) {
  clearlane_lane *lane, *other;
  clearlane_session *session;
  EXPECT(clearlane_lane_open(port, "lane 1", CLEARLANE_EXIT, &lane, NULL) == CLEARLANE_OK);
  EXPECT(clearlane_lane_open(port, "lane 2", CLEARLANE_EXIT, &other, NULL) == CLEARLANE_OK && other != lane);
  EXPECT(clearlane_session_open(lane, 0, &session, NULL) == CLEARLANE_OK);

  /* A handle of another kind is told from its own. */
  char *message;
  EXPECT(clearlane_port_poll((clearlane_port *)lane, &message) == CLEARLANE_HANDLE);
  EXPECT(strstr(message, "a port") && strstr(message, "a lane") && clearlane_free(message) == CLEARLANE_OK);
  EXPECT(clearlane_lane_close((clearlane_lane *)session) == CLEARLANE_HANDLE);
  EXPECT(clearlane_free(lane) == CLEARLANE_HANDLE);

  /* Closing twice, and using what is closed; a number is not given again. */
  EXPECT(clearlane_lane_close(lane) == CLEARLANE_OK && clearlane_lane_close(lane) == CLEARLANE_HANDLE);
  clearlane_lane *next;
  EXPECT(clearlane_lane_open(port, "lane 3", CLEARLANE_EXIT, &next, NULL) == CLEARLANE_OK && next != lane);
  clearlane_decision decision = CLEARLANE_INIT(clearlane_decision);
  clearlane_step step = CLEARLANE_INIT(clearlane_step);
  clearlane_passage passage = {.size = sizeof passage, .frames = frame, .frame_count = 1};
  EXPECT(clearlane_pass(lane, &passage, &decision, NULL) == CLEARLANE_HANDLE && !decision.admitted);
  /* The session has what it needs of its lane. */
  EXPECT(clearlane_session_frame(session, frame, &step, &decision, NULL) == CLEARLANE_OK);
  clearlane_free(decision.json);

  /* Another thread closes a lane while it is used: the call ends as it would, or finds it closed. */
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, close_later, next) == 0);
  clearlane_status status = clearlane_pass(next, &passage, &decision, NULL);
  EXPECT(status == CLEARLANE_HANDLE || (status == CLEARLANE_OK && decision.admitted));
  clearlane_free(decision.json);
  pthread_join(thread, NULL);

  EXPECT(clearlane_session_close(session) == CLEARLANE_OK && clearlane_lane_close(other) == CLEARLANE_OK);
  EXPECT(clearlane_port_close(NULL) == CLEARLANE_OK && clearlane_free(NULL) == CLEARLANE_OK);

  char *text, other_text[] = "not of the library";
  EXPECT(clearlane_port_metrics(port, &text, NULL) == CLEARLANE_OK && clearlane_free(text) == CLEARLANE_OK);
  EXPECT(clearlane_free(text) == CLEARLANE_HANDLE && clearlane_free(other_text) == CLEARLANE_HANDLE);
}

/* A mean may be written where the captures were: they are read first. What cannot be averaged leaves zeros. */
static void mean_in_place(void) {
  /* Each is 32 bytes of a model and two values: 1 and 0, and 0 and 1. */
  uint8_t captures[80] = {0}, zeros[40] = {0};
  captures[34] = captures[78] = 0x80, captures[35] = captures[79] = 0x3f;
  EXPECT(clearlane_template_mean(captures, 80, 2, captures, 40, NULL) == CLEARLANE_OK);
  float values[2];
  memcpy(values, captures + 32, sizeof values);
  EXPECT(values[0] == values[1] && values[0] > 0.7071f && values[0] < 0.7072f);
  EXPECT(clearlane_template_mean(captures, 79, 2, captures, 40, NULL) == CLEARLANE_TEMPLATE);
  EXPECT(memcmp(captures, zeros, sizeof zeros) == 0);
}

int main(int count, char **arguments) {
  EXPECT(count == 10);
  EXPECT(clearlane_log_to(logged, NULL, CLEARLANE_LOG_INFO, NULL) == CLEARLANE_OK);
  char *message;
  EXPECT(clearlane_log_to(logged, NULL, CLEARLANE_LOG_INFO, &message) == CLEARLANE_UNAVAILABLE);
  clearlane_free(message);

  clearlane_frame frame = read_picture(arguments[6]);
  clearlane_port_options options = {.size = sizeof options, .register_path = arguments[1], .key_file = arguments[2],
                                    .policy_path = arguments[3]};
  callbacks(&options, arguments[2]);
  clearlane_port *port;
  EXPECT(clearlane_port_open(&options, &port, NULL) == CLEARLANE_OK);
  clearlane_lane *lane;
  EXPECT(clearlane_lane_open(port, "lane 4", CLEARLANE_EXIT, &lane, NULL) == CLEARLANE_OK);
  sizes(lane, &frame);
  EXPECT(strstr(log_text, "decided admitted=true") != NULL && strstr(log_text, "lane=\"lane 4\"") != NULL);
  bytes_that_are_no_frame(lane, &frame);
  doubts(port, &options, &frame);
  handles(port, &frame);
  mean_in_place();
  EXPECT(clearlane_port_close(port) == CLEARLANE_OK && clearlane_lane_close(lane) == CLEARLANE_OK);
  return 0;
}
