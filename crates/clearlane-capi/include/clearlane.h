/* clearlane: who stands before the gate, and may they pass?
 *
 * Open a lane once, pass it the frames of one traveller at a time, and open the gate if and only if `admitted` is true.
 * A lane may be used from several threads at once. Nothing here keeps a pointer that was passed in.
 *
 * Functions that can fail return a clearlane_status. Where they take `char **message`, it may be NULL; otherwise it is set
 * to NULL, or on failure to what was wrong, which clearlane_free_string frees.
 *
 * Keys, templates and faces are wiped after use; since a crash may come before, a host should turn core dumps off for its
 * process: setrlimit(RLIMIT_CORE) to 0 and, on Linux, prctl(PR_SET_DUMPABLE, 0).
 */
#ifndef CLEARLANE_H
#define CLEARLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t clearlane_status;
#define CLEARLANE_OK 0
/* An argument is NULL, not UTF-8, or no value that it may have. */
#define CLEARLANE_ARGUMENT 1
/* A file could not be read, or is not what it should be. */
#define CLEARLANE_OPEN 2
/* The bytes are no frame of the stated size and format. */
#define CLEARLANE_FRAME 3
/* The register could not be read or written. */
#define CLEARLANE_REGISTER 4
/* A defect of the library. The gate must stay shut. */
#define CLEARLANE_INTERNAL 5

typedef int32_t clearlane_pixel_format;
#define CLEARLANE_RGB8 0  /* red, green, blue */
#define CLEARLANE_BGR8 1  /* blue, green, red */
#define CLEARLANE_GRAY8 2 /* one byte a pixel */
#define CLEARLANE_NV12 3  /* a plane of luma, then interleaved U and V at half the width and height */
#define CLEARLANE_YUYV 4  /* Y0, U, Y1, V */

typedef int32_t clearlane_direction;
#define CLEARLANE_ENTRY 0 /* into the mainland */
#define CLEARLANE_EXIT 1  /* out of the mainland */

/* A lane. Opaque. */
typedef struct clearlane_lane clearlane_lane;

/* The files and names that make a lane. Text is UTF-8, ended by a zero byte. Zero the struct before you fill it: what is
 * NULL where that is allowed has its default.
 *
 * Presentation attack detection (PAD) averages the scores of its models. Where there is none, it is not assessed, and a
 * policy that requires it refers everybody. */
typedef struct {
  const char *register_path; /* the register */
  const char *keys_path;     /* its keys, 64 hexadecimal digits a line */
  const char *policy_path;   /* the rules */
  const char *models_path;   /* a folder of models beside those compiled in; NULL: these alone */
  const char *detector;      /* the detector by name; NULL: the first at hand */
  const char *embedder;      /* the embedder by name; NULL: the first at hand */
  const char *const *pad;    /* the models for PAD by name; may be NULL where there are none */
  size_t pad_count;          /* how many; 0: all available PAD models */
  const char *claim_issuer;  /* the public key (PEM file) whose claims are believed; NULL: nobody's */
  const char *port;          /* the port's id in the policy */
  const char *lane;          /* the lane's name in records */
  clearlane_direction direction;
  const char *witness_path;  /* a file outside the register that remembers its newest state, so that an older register in
                                its place is refused; it is made where it is missing. NULL: none */
} clearlane_files;

/* A picture. `stride` is the number of bytes from one row's start to the next, `size` that of all bytes at `pixels`. */
typedef struct {
  const uint8_t *pixels;
  size_t size;
  uint32_t width;
  uint32_t height;
  size_t stride;
  clearlane_pixel_format format;
} clearlane_frame;

/* Another matcher's comparison of this traveller with one subject's reference. */
typedef struct {
  const char *matcher; /* its name in the policy */
  uint64_t subject;
  double score;
} clearlane_evidence;

/* A decision. Made by clearlane_pass or clearlane_verify_claim, freed by clearlane_free_decision. */
typedef struct {
  bool admitted;       /* open the gate if and only if this is true */
  bool has_subject;    /* whether `subject` is set: who passes, or whom an officer should think of */
  uint64_t subject;
  bool has_comparison; /* whether `score` and `threshold` are set */
  float score;         /* cosine similarity, -1 to 1 */
  float threshold;
  bool has_margin;
  float margin;        /* by how much the subject leads the next one, at least */
  bool has_record;
  uint64_t record;     /* the number of the crossing record */
  uint64_t total_us;   /* from the call to the answer */
  char *json;          /* all of it, every reason and stage time included */
} clearlane_decision;

/* The library's version, such as "0.1.0". */
const char *clearlane_version(void);

/* Opens a lane: loads the references and checks the register, which takes seconds for a million. */
clearlane_status clearlane_open(const clearlane_files *files, clearlane_lane **lane, char **message);

/* Closes a lane that no thread uses any more. NULL is passed over. */
void clearlane_close(clearlane_lane *lane);

/* The traveller shows nothing: identifies them among all who are enrolled. `budget_us` is the time until the answer in
 * microseconds, 0 for the policy's. Whatever goes wrong with the traveller is a reason in the decision, not a status. */
clearlane_status clearlane_pass(const clearlane_lane *lane, const clearlane_frame *frames, size_t frame_count,
                                const clearlane_evidence *evidence, size_t evidence_count, uint64_t budget_us,
                                clearlane_decision *decision, char **message);

/* The traveller shows a claim, a QR code in one of `claim_frames`: compares them with the one it names. */
clearlane_status clearlane_verify_claim(const clearlane_lane *lane, const clearlane_frame *claim_frames,
                                        size_t claim_frame_count, const clearlane_frame *frames, size_t frame_count,
                                        const clearlane_evidence *evidence, size_t evidence_count,
                                        uint64_t budget_us, clearlane_decision *decision, char **message);

/* Brings in what other processes changed in the register. Call it every second or so, from any thread. */
clearlane_status clearlane_refresh(const clearlane_lane *lane, char **message);

/* Checks the register. After a check that finds anything wrong the lane refers everybody. */
clearlane_status clearlane_check(const clearlane_lane *lane, bool *sound, char **message);

/* Counters and latencies as JSON, freed by clearlane_free_string; NULL where `lane` is. */
char *clearlane_metrics(const clearlane_lane *lane);

/* Frees what a decision holds. NULL is passed over, and so is a decision that was freed. */
void clearlane_free_decision(clearlane_decision *decision);

/* Frees a string that came from here. NULL is passed over. */
void clearlane_free_string(char *text);

#ifdef __cplusplus
}
#endif

#endif
