/* Prints the layout of every struct, uses the library as a careless caller would, then lets a traveller pass.
 *
 * Arguments: a file that does not exist; register, keys, policy and PAD models of a port; and a frame of raw RGB with its
 * width and height. */
#include "clearlane.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE(type) printf("size %s %zu\n", #type, sizeof(type))
#define FIELD(type, field) printf("field %s.%s %zu\n", #type, #field, offsetof(type, field))
#define EXPECT(condition)                                           \
  if (!(condition)) {                                               \
    fprintf(stderr, "line %d: %s\n", __LINE__, #condition);         \
    return 1;                                                       \
  }

static void layout(void) {
  SIZE(clearlane_files);
  FIELD(clearlane_files, register_path);
  FIELD(clearlane_files, keys_path);
  FIELD(clearlane_files, policy_path);
  FIELD(clearlane_files, models_path);
  FIELD(clearlane_files, detector);
  FIELD(clearlane_files, embedder);
  FIELD(clearlane_files, pad);
  FIELD(clearlane_files, pad_count);
  FIELD(clearlane_files, claim_issuer);
  FIELD(clearlane_files, port);
  FIELD(clearlane_files, lane);
  FIELD(clearlane_files, direction);
  FIELD(clearlane_files, witness_path);
  SIZE(clearlane_frame);
  FIELD(clearlane_frame, pixels);
  FIELD(clearlane_frame, size);
  FIELD(clearlane_frame, width);
  FIELD(clearlane_frame, height);
  FIELD(clearlane_frame, stride);
  FIELD(clearlane_frame, format);
  SIZE(clearlane_evidence);
  FIELD(clearlane_evidence, matcher);
  FIELD(clearlane_evidence, subject);
  FIELD(clearlane_evidence, score);
  SIZE(clearlane_decision);
  FIELD(clearlane_decision, admitted);
  FIELD(clearlane_decision, has_subject);
  FIELD(clearlane_decision, subject);
  FIELD(clearlane_decision, has_comparison);
  FIELD(clearlane_decision, score);
  FIELD(clearlane_decision, threshold);
  FIELD(clearlane_decision, has_margin);
  FIELD(clearlane_decision, margin);
  FIELD(clearlane_decision, has_record);
  FIELD(clearlane_decision, record);
  FIELD(clearlane_decision, total_us);
  FIELD(clearlane_decision, json);
}

static int careless(const char *missing) {
  EXPECT(strchr(clearlane_version(), '.') != NULL);

  char *message = NULL;
  clearlane_lane *lane = (clearlane_lane *)&message;
  EXPECT(clearlane_open(NULL, &lane, &message) == CLEARLANE_ARGUMENT);
  EXPECT(lane == NULL && strstr(message, "files") != NULL);
  clearlane_free_string(message);
  EXPECT(clearlane_open(NULL, NULL, NULL) == CLEARLANE_ARGUMENT);

  clearlane_files files = {0};
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_ARGUMENT);
  EXPECT(strstr(message, "register_path") != NULL);
  clearlane_free_string(message);
  files.register_path = files.keys_path = files.policy_path = missing;
  files.port = "shenzhen-bay";
  files.lane = "lane 1";
  files.direction = 7;
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_ARGUMENT);
  clearlane_free_string(message);
  files.direction = CLEARLANE_EXIT;
  files.pad_count = 1;
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_ARGUMENT);
  EXPECT(strstr(message, "pad") != NULL);
  clearlane_free_string(message);
  const char *nameless[] = {NULL};
  files.pad = nameless;
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_ARGUMENT);
  EXPECT(strstr(message, "pad") != NULL);
  clearlane_free_string(message);
  files.pad_count = 0;
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_OPEN);
  EXPECT(strstr(message, missing) != NULL);
  clearlane_free_string(message);

  clearlane_decision decision;
  memset(&decision, 0xff, sizeof decision);
  EXPECT(clearlane_pass(NULL, NULL, 0, NULL, 0, 0, &decision, &message) == CLEARLANE_ARGUMENT);
  EXPECT(!decision.admitted && decision.json == NULL);
  clearlane_free_string(message);
  EXPECT(clearlane_pass(NULL, NULL, 0, NULL, 0, 0, NULL, NULL) == CLEARLANE_ARGUMENT);
  EXPECT(clearlane_refresh(NULL, NULL) == CLEARLANE_ARGUMENT);
  EXPECT(clearlane_metrics(NULL) == NULL);
  clearlane_free_decision(&decision);
  clearlane_free_decision(NULL);
  clearlane_free_string(NULL);
  clearlane_close(NULL);
  return 0;
}

/* Opens a lane with these PAD models, and lets the traveller in the frame pass. Anything but `admitted` has `reason`. */
static int pass(clearlane_files files, const clearlane_frame *frame, const char *const *pad, size_t pad_count,
                bool admitted, const char *reason) {
  files.pad = pad;
  files.pad_count = pad_count;
  clearlane_lane *lane;
  char *message;
  clearlane_status status = clearlane_open(&files, &lane, &message);
  if (status != CLEARLANE_OK) {
    fprintf(stderr, "%s\n", message);
    return 1;
  }
  clearlane_decision decision;
  EXPECT(clearlane_pass(lane, frame, 1, NULL, 0, 60000000, &decision, NULL) == CLEARLANE_OK);
  if (decision.admitted != admitted || strstr(decision.json, reason) == NULL) {
    fprintf(stderr, "%s was expected: %s\n", reason, decision.json);
    return 1;
  }
  /* Either way it is somebody, by the face, and the passage is on record. */
  EXPECT(decision.has_subject && decision.has_comparison && decision.has_record);
  clearlane_free_decision(&decision);
  clearlane_close(lane);
  return 0;
}

static int traveller(char **arguments) {
  static uint8_t pixels[4 * 1024 * 1024];
  FILE *file = fopen(arguments[4], "rb");
  EXPECT(file != NULL);
  clearlane_frame frame = {pixels, fread(pixels, 1, sizeof pixels, file), (uint32_t)atoi(arguments[5]),
                           (uint32_t)atoi(arguments[6]), 3 * (size_t)atoi(arguments[5]), CLEARLANE_RGB8};
  fclose(file);

  clearlane_files files = {0};
  files.register_path = arguments[0];
  files.keys_path = arguments[1];
  files.policy_path = arguments[2];
  files.port = "shenzhen-bay";
  files.lane = "lane 1";
  files.direction = CLEARLANE_EXIT;
  const char *live[] = {"pad-live"}, *attack[] = {"pad-attack"}, *both[] = {"pad-live", "pad-attack"};

  /* The policy requires PAD: without a model for it nobody passes. */
  EXPECT(pass(files, &frame, NULL, 0, false, "pad-not-assessed") == 0);
  files.models_path = arguments[3];
  EXPECT(pass(files, &frame, live, 1, true, "\"admit\"") == 0);
  EXPECT(pass(files, &frame, attack, 1, false, "pad-failed") == 0);
  /* The mean of both is under the threshold. All at hand are taken where none is named. */
  EXPECT(pass(files, &frame, both, 2, false, "pad-failed") == 0);
  EXPECT(pass(files, &frame, NULL, 0, false, "pad-failed") == 0);

  /* A model that is not there, or is for something else, is no PAD: no lane opens. */
  const char *unknown[] = {"pad-live", "pad-oracle"}, *other[] = {"clearlane-detector"};
  clearlane_lane *lane;
  char *message;
  files.pad = unknown;
  files.pad_count = 2;
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_OPEN);
  EXPECT(lane == NULL && strstr(message, "pad-oracle") != NULL);
  clearlane_free_string(message);
  files.pad = other;
  files.pad_count = 1;
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_OPEN);
  EXPECT(lane == NULL && strstr(message, "clearlane-detector") != NULL);
  clearlane_free_string(message);
  files.pad_count = 0;
  files.embedder = "nobody's";
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_OPEN);
  EXPECT(strstr(message, "nobody's") != NULL);
  clearlane_free_string(message);
  return 0;
}

int main(int count, char **arguments) {
  layout();
  EXPECT(count == 9);
  EXPECT(careless(arguments[1]) == 0);
  return traveller(arguments + 2);
}
