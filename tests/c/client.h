/*
 * A VA-API client in plain C: what its parts share.
 *
 * Each part drives a group of the driver's entry points through libva, also with arguments that must be
 * refused, and checks every status and effect. A failed check is reported and counted, and the rest goes on.
 */
#ifndef DAEDALUS_TESTS_CLIENT_H
#define DAEDALUS_TESTS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <X11/Xlib.h>
#include <va/va.h>
#include <va/va_backend.h>
#include <va/va_x11.h>

/* A call that must return `expected`. Yields whether it did. */
#define EXPECT(expected, call) \
    expect_status(__FILE__, __LINE__, #call, (expected), (expected), (call))

/* A call that may return either of two statuses. Yields whether it returned one of them. */
#define EXPECT_EITHER(first, second, call) \
    expect_status(__FILE__, __LINE__, #call, (first), (second), (call))

#define EXPECT_SUCCESS(call) EXPECT(VA_STATUS_SUCCESS, call)

/* A condition that must hold, with a printf-style explanation. Yields whether it does. */
#define CHECK(condition, ...) check_that(__FILE__, __LINE__, #condition, (condition), __VA_ARGS__)

bool expect_status(const char *file, int line, const char *call, VAStatus first, VAStatus second,
                   VAStatus got);
bool check_that(const char *file, int line, const char *condition, bool holds, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Prints the name of the part that follows. */
void part(const char *name);

/* Prints "N passed, N failed" and returns the exit status of the program. */
int summary(void);

/* An id that no driver handed out. */
#define NO_SUCH_ID ((VAGenericID)0x7ead5eed)

/* An X connection with an initialised VA display on it. */
struct client {
    Display *x11;
    VADisplay va;
};

/* Opens a client; exits the program if there is no X server or no driver, since nothing could be tested. */
struct client open_client(void);
void close_client(struct client *client);

/* The vtable behind a display, for the few entries that libva has no public call for. */
struct VADriverVTable *vtable_of(VADisplay va);
VADriverContextP driver_of(VADisplay va);

/* Objects that most parts need; each call is checked. VA_INVALID_ID on failure. */
VAConfigID make_config(VADisplay va, VAProfile profile);
VASurfaceID make_surface(VADisplay va, unsigned rt_format, unsigned width, unsigned height);
VAContextID make_context(VADisplay va, VAConfigID config, int width, int height);
VABufferID make_buffer(VADisplay va, VAContextID context, VABufferType type, size_t size, const void *data);
VAImage make_image(VADisplay va, uint32_t fourcc, int width, int height);

/* Samples of a 4:2:0 picture: component 0 is luma, 1 Cb, 2 Cr; x and y count samples of that component. */
int samples_across(int component, int luma_samples);
/* Reads or stores one sample (16 bits for P010) of an image that is mapped at `memory`. */
unsigned sample(const VAImage *image, const void *memory, int component, int x, int y);
void set_sample(const VAImage *image, void *memory, int component, int x, int y, unsigned value);

/* An H.264 picture whose macroblocks are all I_PCM: its pixels are known before it is decoded. */
#define PCM_WIDTH 48
#define PCM_HEIGHT 32
struct pcm_slice {
    uint8_t bytes[4096];
    size_t size;
    unsigned header_bits;
};
/* The picture's samples for a seed: never 0, all parts different. */
unsigned pcm_sample(unsigned seed, int component, int x, int y);
/* Codes the picture as an IDR slice NAL unit. */
void pcm_slice(struct pcm_slice *slice, unsigned seed);
VAPictureParameterBufferH264 pcm_picture_parameters(VASurfaceID target);
VAIQMatrixBufferH264 flat_matrices(void);
VASliceParameterBufferH264 pcm_slice_parameters(const struct pcm_slice *slice);
/* Begin, render and end of that picture, and its buffers destroyed; each call is checked. */
void decode_pcm(VADisplay va, VAContextID context, VASurfaceID target, unsigned seed);
/* Checks every sample of a decoded surface through vaDeriveImage and through vaGetImage. */
void check_pcm(VADisplay va, VASurfaceID surface, unsigned seed);
/* Checks it through vaGetImage alone. */
void check_pcm_download(VADisplay va, VASurfaceID surface, unsigned seed, uint32_t fourcc);

/* The parts. */
void test_displays(void);
void test_configs(VADisplay va);
void test_surfaces(VADisplay va);
void test_contexts_and_buffers(VADisplay va);
void test_pictures(VADisplay va);
void test_broken_pictures(VADisplay va);
void test_images(VADisplay va);
void test_overlays_and_attributes(VADisplay va);
void test_sharing(VADisplay va);
void test_what_is_not_there(VADisplay va);
void test_put_surface(struct client *client);

#endif
