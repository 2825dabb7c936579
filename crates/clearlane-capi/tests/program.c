/* Prints the layout of every struct, then uses the library as a careless caller would. */
#include "clearlane.h"
#include <stdio.h>
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
  FIELD(clearlane_files, claim_issuer);
  FIELD(clearlane_files, port);
  FIELD(clearlane_files, lane);
  FIELD(clearlane_files, direction);
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

int main(int count, char **arguments) {
  layout();
  EXPECT(count == 2);
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
  files.register_path = files.keys_path = files.policy_path = arguments[1];
  files.port = "shenzhen-bay";
  files.lane = "lane 1";
  files.direction = 7;
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_ARGUMENT);
  clearlane_free_string(message);
  files.direction = CLEARLANE_EXIT;
  EXPECT(clearlane_open(&files, &lane, &message) == CLEARLANE_OPEN);
  EXPECT(strstr(message, arguments[1]) != NULL);
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
