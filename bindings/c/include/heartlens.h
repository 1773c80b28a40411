/* Heartlens: classifies heartbeats in an ECG on a microcontroller. Research software, not a medical device.
 *
 * Written by cbindgen from bindings/c/src/lib.rs; README.md beside it has an example. */

#ifndef HEARTLENS_H
#define HEARTLENS_H

#include <stddef.h>
#include <stdint.h>

/*
 Bytes of memory that hl_init asks for, on every target.
 */
#define HL_MEMORY_BYTES 18432

/*
 Bytes of memory that hl_init_strips asks for, on every target.
 */
#define HL_MEMORY_STRIPS_BYTES 37888

/*
 Bytes of an hl_event, on both sides.
 */
#define HL_EVENT_BYTES 56

/*
 What the memory's address must be a multiple of.
 */
#define HL_MEMORY_ALIGN 8

/*
 Done; of hl_work: nothing is left to do until the next sample; of hl_next: there was an event.
 */
#define HL_OK 0

/*
 hl_work has more to do.
 */
#define HL_PENDING 1

/*
 hl_next has no event.
 */
#define HL_NONE 2

/*
 A pointer is NULL.
 */
#define HL_ERROR_NULL -1

/*
 The memory has fewer than HL_MEMORY_BYTES bytes, or HL_MEMORY_STRIPS_BYTES.
 */
#define HL_ERROR_MEMORY -2

/*
 The memory's address is no multiple of HL_MEMORY_ALIGN.
 */
#define HL_ERROR_ALIGNMENT -3

/*
 hl_init or hl_init_strips has not been called on this memory, or has failed.
 */
#define HL_ERROR_NOT_INITIALISED -4

/*
 The sample rate is none of 100, 125, 128, 200, 250, 256, 300, 360, 500, 512, 1000 Hz.
 */
#define HL_ERROR_RATE -5

/*
 The counts per millivolt are 0 or no finite number.
 */
#define HL_ERROR_GAIN -6

/*
 The sex or the rules are none of their constants.
 */
#define HL_ERROR_CONFIG -7

/*
 The model is damaged, is none for this version, lies at an address that is no multiple of 8, or takes more memory than there
 is.
 */
#define HL_ERROR_MODEL -8

/*
 The rhythm network is damaged or is none for this version.
 */
#define HL_ERROR_RHYTHM -9

/*
 The strip network is damaged, is none for this version, lies at an address that is no multiple of 8, or takes more memory than
 there is.
 */
#define HL_ERROR_STRIP -10

/*
 Of hl_push_i16: this sample is missing.
 */
#define HL_MISSING -32768

/*
 The patient's sex is not known.
 */
#define HL_SEX_UNKNOWN 0

/*
 A woman.
 */
#define HL_SEX_FEMALE 1

/*
 A man.
 */
#define HL_SEX_MALE 2

/*
 The network alone decides on a beat's class.
 */
#define HL_RULES_NONE 0

/*
 Where the intervals speak of atrial fibrillation, early beats go from S to N.
 */
#define HL_RULES_AF 1

/*
 That, and in a sustained supraventricular tachycardia beats go from N to S.
 */
#define HL_RULES_AF_SVT 2

/*
 Where half minutes of signal show atrial fibrillation, beats go from S to N. Without a strip network it does nothing.
 */
#define HL_RULES_STRIP 3

/*
 That, and beats of this patient that look alike get like answers.
 */
#define HL_RULES_ALIKE 4

/*
 The rules of the shipped model: those of `heartlens classify`.
 */
#define HL_RULES_SHIPPED HL_RULES_ALIKE

/*
 A beat: at_ms, label, rr_ms, scores, fibrillation, readable, and flag where its two likeliest classes are close. With a strip network fibrillation is -1: HL_EVENT_FIBRILLATION tells it.
 */
#define HL_EVENT_BEAT 1

/*
 The signal is good for something else now: at_ms, signal.
 */
#define HL_EVENT_SIGNAL 2

/*
 No beat for 3 s, and the pause goes on: at_ms is that of the last beat; flag: the line does not move at all.
 */
#define HL_EVENT_PAUSE 3

/*
 Atrial fibrillation: at_ms is its first beat. It begins, or with flag ends at until_ms.
 */
#define HL_EVENT_FIBRILLATION 4

/*
 A run of three or more S or V beats: at_ms is its first; label, beats, rate_bpm. With flag it is over.
 */
#define HL_EVENT_RUN 5

/*
 A new recording begins after a gap, at at_ms.
 */
#define HL_EVENT_RESTARTED 6

/*
 Half a minute has been judged, from at_ms to until_ms: scores are the probabilities of normal rhythm, atrial fibrillation, another
 rhythm and noise. Every 10 s, only after hl_init_strips.
 */
#define HL_EVENT_STRIP 7

/*
 By hl_clock the samples are too many or too few for the rate that was told: at_ms, found_hz, expected_hz. Another rate, or samples that
 are lost and not called missing. With flag the two agree again.
 */
#define HL_EVENT_SAMPLE_RATE 8

/*
 Something that this version of the header has no name for.
 */
#define HL_EVENT_OTHER 255

/*
 Nothing is known of the signal yet.
 */
#define HL_SIGNAL_UNKNOWN 0

/*
 Beats can be read.
 */
#define HL_SIGNAL_READABLE 1

/*
 Noise hides the beats.
 */
#define HL_SIGNAL_NOISY 2

/*
 The line hardly moves: an electrode that is off, or asystole.
 */
#define HL_SIGNAL_FLAT 3

/*
 The converter has given the same count for 2 s.
 */
#define HL_SIGNAL_CONSTANT 4

/*
 Samples are missing, or beyond what an electrode on the skin has.
 */
#define HL_SIGNAL_ELECTRODE_OFF 5

/*
 There are peaks, but no heartbeats.
 */
#define HL_SIGNAL_NO_HEARTBEAT 6

/*
 The beats are larger than a body's: the counts per millivolt are wrong.
 */
#define HL_SIGNAL_GAIN 7

/*
 The rate that was told is wrong: for sure after HL_EVENT_SAMPLE_RATE, else probably, since the beats are too fast and narrow, or too
 slow and wide, for any heart.
 */
#define HL_SIGNAL_RATE 8

/*
 Bytes that stay where they are for as long as they are in use: a network.
 */
typedef struct {
  /*
   The first byte, at a multiple of 8.
   */
  const uint8_t *bytes;
  /*
   How many.
   */
  size_t length;
} hl_image;

/*
 What hl_init is told.
 */
typedef struct {
  /*
   The converter's sample rate: 100, 125, 128, 200, 250, 256, 300, 360, 500, 512 or 1000 Hz.
   */
  uint32_t rate_hz;
  /*
   Counts per millivolt; negative where the lead is upside down.
   */
  float counts_per_mv;
  /*
   The count that means 0 mV.
   */
  int32_t zero;
  /*
   The patient's age in years, below 0 where it is not known.
   */
  float age_years;
  /*
   HL_SEX_...
   */
  uint8_t sex;
  /*
   HL_RULES_...
   */
  uint8_t rules;
} hl_config;

/*
 Something that happened. What a kind does not name is 0. Times count from the first sample, missing samples included.
 */
typedef struct {
  /*
   When, in ms.
   */
  uint64_t at_ms;
  /*
   The end, in ms.
   */
  uint64_t until_ms;
  /*
   Probability of N, S, V and F, NaN where the network has failed; of half a minute those of HL_EVENT_STRIP.
   */
  float scores[4];
  /*
   RR interval since the beat before, in ms; 0 at the first beat.
   */
  float rr_ms;
  /*
   Beats a minute.
   */
  float rate_bpm;
  /*
   How many.
   */
  uint32_t beats;
  /*
   HL_EVENT_...
   */
  uint8_t kind;
  /*
   'N', 'S', 'V', 'F' or, where the signal is not readable, 'Q'.
   */
  uint8_t label;
  /*
   1 in atrial fibrillation, 0 in none, -1 where that is not judged.
   */
  int8_t fibrillation;
  /*
   1 where the beat's signal can be read.
   */
  uint8_t readable;
  /*
   HL_SIGNAL_...
   */
  uint8_t signal;
  /*
   0 or 1; see the kind.
   */
  uint8_t flag;
  /*
   The sample rate that was told, in Hz.
   */
  uint16_t expected_hz;
  /*
   Samples a second by hl_clock.
   */
  float found_hz;
} hl_event;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The model of beats that comes with the library. A program that never calls this does not contain it.
 */
hl_image hl_beat_model(void);

/*
 The rhythm network that comes with the library.
 */
hl_image hl_rhythm_model(void);

/*
 The strip network that comes with the library, for hl_init_strips. A program that never calls this does not contain it.
 */
hl_image hl_strip_model(void);

/*
 Begins in this memory. It may be called again on the same memory to begin anew.

 HL_OK, or what is wrong.

 # Safety
 `memory` points to `bytes` bytes that nobody else uses from now on, `config` to a configuration, and both images to as many
 bytes as they say, which stay as they are for as long as the memory is in use. Any of them may be NULL.
 */
int32_t hl_init(uint64_t *memory,
                size_t bytes,
                const hl_config *config,
                hl_image beat,
                hl_image rhythm);

/*
 Begins in this memory as hl_init does, with a strip network: fibrillation is told by half a minute of signal, and HL_EVENT_STRIP says every
 10 s what the last half minute was. `memory` has HL_MEMORY_STRIPS_BYTES bytes or more; `strip` may be hl_strip_model().

 HL_OK, or what is wrong.

 # Safety
 As hl_init, and `strip` is such an image too.
 */
int32_t hl_init_strips(uint64_t *memory,
                       size_t bytes,
                       const hl_config *config,
                       hl_image beat,
                       hl_image rhythm,
                       hl_image strip);

/*
 Takes the converter's next sample. A few hundred instructions on a Cortex-M4F, and at most 80,000 after a gap.

 # Safety
 `memory` is NULL, or what hl_init was given; one call at a time.
 */
int32_t hl_push_i16(uint64_t *memory,
                    int16_t count);

/*
 Says that so many of the converter's samples are missing: an overrun, or an electrode that is off. After more than 2 s of them
 the next sample begins a new recording.

 # Safety
 `memory` is NULL, or what hl_init was given; one call at a time.
 */
int32_t hl_missing(uint64_t *memory,
                   uint32_t samples);

/*
 Says what time it is by a clock of your own: ms since whenever, in 32 bits that may turn over. About once a second will do, or in each
 turn of a main loop. Samples, missing ones included, are compared with it: HL_EVENT_SAMPLE_RATE says where they are more than 2 % too
 many or too few for the rate that was told, some 10 s after it becomes so where they are off by a tenth. What happens once is not told:
 a clock that is set, or one loss.

 # Safety
 `memory` is NULL, or what hl_init was given; one call at a time.
 */
int32_t hl_clock(uint64_t *memory,
                 uint32_t now_ms);

/*
 Ends the recording, so that its last beats come. The next sample begins another one.

 # Safety
 `memory` is NULL, or what hl_init was given; one call at a time.
 */
int32_t hl_finish(uint64_t *memory);

/*
 Does one slice of the work that there is, at most 80,000 instructions of a Cortex-M4F with the shipped model: HL_PENDING while
 there is more, or while events wait for hl_next; HL_OK where nothing is left until the next sample.

 # Safety
 `memory` is NULL, or what hl_init was given; one call at a time.
 */
int32_t hl_work(uint64_t *memory);

/*
 The next event: HL_OK where there was one, HL_NONE where not.

 # Safety
 `memory` is NULL, or what hl_init was given; one call at a time. `event` is NULL, or points to an event.
 */
int32_t hl_next(uint64_t *memory, hl_event *event);

/*
 What the signal is good for, HL_SIGNAL_..., or an error.

 # Safety
 `memory` is NULL, or what hl_init was given; one call at a time.
 */
int32_t hl_signal(uint64_t *memory);

/*
 The heart rate in beats a minute, over the last 8 readable RR intervals; 0 where there is none, in a pause, and after an error.

 # Safety
 `memory` is NULL, or what hl_init was given; one call at a time.
 */
float hl_rate_bpm(uint64_t *memory);

/*
 The text of a code, in English; NULL where there is no such code. It is there for ever.
 */
const char *hl_text(int32_t code);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HEARTLENS_H */

/* Both sides have the same sizes: the library asserts these too. */
#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(HL_MEMORY_BYTES % HL_MEMORY_ALIGN == 0, "the memory is whole words");
static_assert(HL_MEMORY_STRIPS_BYTES % HL_MEMORY_ALIGN == 0, "the memory is whole words");
static_assert(sizeof(uint64_t) == HL_MEMORY_ALIGN, "memory of uint64_t is aligned");
static_assert(sizeof(hl_event) == HL_EVENT_BYTES, "an event is what the library writes");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(HL_MEMORY_BYTES % HL_MEMORY_ALIGN == 0, "the memory is whole words");
_Static_assert(HL_MEMORY_STRIPS_BYTES % HL_MEMORY_ALIGN == 0, "the memory is whole words");
_Static_assert(sizeof(uint64_t) == HL_MEMORY_ALIGN, "memory of uint64_t is aligned");
_Static_assert(sizeof(hl_event) == HL_EVENT_BYTES, "an event is what the library writes");
#endif
