/* Checks, and the objects that most parts need. */
#include "client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned passed, failed;

bool expect_status(const char *file, int line, const char *call, VAStatus first, VAStatus second,
                   VAStatus got)
{
    if (got == first || got == second) {
        passed++;
        return true;
    }
    failed++;
    printf("%s:%d: %s\n    expected: %s", file, line, call, vaErrorStr(first));
    if (second != first)
        printf(", or %s", vaErrorStr(second));
    printf("\n    got: %s (0x%x)\n", vaErrorStr(got), (unsigned)got);
    fflush(stdout);
    return false;
}

bool check_that(const char *file, int line, const char *condition, bool holds, const char *format, ...)
{
    va_list arguments;

    if (holds) {
        passed++;
        return true;
    }
    failed++;
    printf("%s:%d: not true: %s\n    ", file, line, condition);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    return false;
}

void part(const char *name)
{
    printf("-- %s\n", name);
    fflush(stdout);
}

int summary(void)
{
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

struct client open_client(void)
{
    struct client client;
    int major = -1, minor = -1;
    VAStatus status;

    client.x11 = XOpenDisplay(NULL);
    if (!client.x11) {
        fprintf(stderr, "no X server at DISPLAY\n");
        exit(EXIT_FAILURE);
    }
    client.va = vaGetDisplay(client.x11);
    status = vaInitialize(client.va, &major, &minor);
    if (status != VA_STATUS_SUCCESS) {
        fprintf(stderr, "vaInitialize: %s\n", vaErrorStr(status));
        exit(EXIT_FAILURE);
    }
    CHECK(major == VA_MAJOR_VERSION, "the driver speaks VA %d.%d", major, minor);
    return client;
}

void close_client(struct client *client)
{
    EXPECT_SUCCESS(vaTerminate(client->va));
    XCloseDisplay(client->x11);
    client->va = NULL;
    client->x11 = NULL;
}

VADriverContextP driver_of(VADisplay va)
{
    return ((VADisplayContextP)va)->pDriverContext;
}

struct VADriverVTable *vtable_of(VADisplay va)
{
    return driver_of(va)->vtable;
}

VAConfigID make_config(VADisplay va, VAProfile profile)
{
    VAConfigID config = VA_INVALID_ID;

    EXPECT_SUCCESS(vaCreateConfig(va, profile, VAEntrypointVLD, NULL, 0, &config));
    return config;
}

VASurfaceID make_surface(VADisplay va, unsigned rt_format, unsigned width, unsigned height)
{
    VASurfaceID surface = VA_INVALID_SURFACE;

    EXPECT_SUCCESS(vaCreateSurfaces(va, rt_format, width, height, &surface, 1, NULL, 0));
    return surface;
}

VAContextID make_context(VADisplay va, VAConfigID config, int width, int height)
{
    VAContextID context = VA_INVALID_ID;

    EXPECT_SUCCESS(vaCreateContext(va, config, width, height, VA_PROGRESSIVE, NULL, 0, &context));
    return context;
}

VABufferID make_buffer(VADisplay va, VAContextID context, VABufferType type, size_t size, const void *data)
{
    VABufferID buffer = VA_INVALID_ID;

    /* libva's prototype lacks the const; nothing is written. */
    EXPECT_SUCCESS(vaCreateBuffer(va, context, type, (unsigned)size, 1, (void *)(uintptr_t)data, &buffer));
    return buffer;
}

VAImage make_image(VADisplay va, uint32_t fourcc, int width, int height)
{
    VAImageFormat format;
    VAImage image;

    memset(&format, 0, sizeof format);
    memset(&image, 0, sizeof image);
    image.image_id = VA_INVALID_ID;
    image.buf = VA_INVALID_ID;
    format.fourcc = fourcc;
    format.byte_order = VA_LSB_FIRST;
    format.bits_per_pixel = fourcc == VA_FOURCC_P010 ? 24 : 12;
    EXPECT_SUCCESS(vaCreateImage(va, &format, width, height, &image));
    return image;
}

int samples_across(int component, int luma_samples)
{
    return component == 0 ? luma_samples : (luma_samples + 1) / 2;
}

/* Where a sample lies, and whether it has 16 bits. */
static size_t position(const VAImage *image, int component, int x, int y, bool *wide)
{
    unsigned plane = (unsigned)component, step = 1, shift = 0;

    *wide = false;
    switch (image->format.fourcc) {
    case VA_FOURCC_P010:
        *wide = true;
        /* fallthrough */
    case VA_FOURCC_NV12:
        if (component > 0) {
            plane = 1;
            step = 2;
            shift = (unsigned)component - 1;
        }
        break;
    case VA_FOURCC_YV12:
        if (component > 0)
            plane = 3 - (unsigned)component;
        break;
    default:
        break;
    }
    return image->offsets[plane] + (size_t)y * image->pitches[plane] +
           ((size_t)x * step + shift) * (*wide ? 2 : 1);
}

unsigned sample(const VAImage *image, const void *memory, int component, int x, int y)
{
    bool wide;
    const uint8_t *at = (const uint8_t *)memory + position(image, component, x, y, &wide);

    return wide ? at[0] | (unsigned)at[1] << 8 : at[0];
}

void set_sample(const VAImage *image, void *memory, int component, int x, int y, unsigned value)
{
    bool wide;
    uint8_t *at = (uint8_t *)memory + position(image, component, x, y, &wide);

    at[0] = (uint8_t)value;
    if (wide)
        at[1] = (uint8_t)(value >> 8);
}
