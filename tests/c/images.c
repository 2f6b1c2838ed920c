/* Images: formats, memory, copies from and to surfaces. */
#include "client.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t fourccs[] = { VA_FOURCC_NV12, VA_FOURCC_P010, VA_FOURCC_I420, VA_FOURCC_YV12 };
#define FOURCCS (sizeof fourccs / sizeof fourccs[0])

/* What a test picture holds: all components and places differ, never 0; 16 bits for P010. */
static unsigned pattern(uint32_t fourcc, unsigned seed, int component, int x, int y)
{
    unsigned value = 1 + (seed + 60 * (unsigned)component + 3 * (unsigned)x + 5 * (unsigned)y) % 250;

    return fourcc == VA_FOURCC_P010 ? value * 4 << 6 : value;
}

static void fill(VADisplay va, const VAImage *image, unsigned seed)
{
    void *memory = NULL;

    if (!EXPECT_SUCCESS(vaMapBuffer(va, image->buf, &memory)))
        return;
    for (int component = 0; component < 3; component++)
        for (int y = 0; y < samples_across(component, image->height); y++)
            for (int x = 0; x < samples_across(component, image->width); x++)
                set_sample(image, memory, component, x, y,
                           pattern(image->format.fourcc, seed, component, x, y));
    EXPECT_SUCCESS(vaUnmapBuffer(va, image->buf));
}

/* Checks that `width` x `height` samples at `x`, `y` are those of the pattern shifted by `from_x`,
 * `from_y`, all even. */
static void check_pattern(VADisplay va, const VAImage *image, unsigned seed, int x, int y, int width,
                          int height, int from_x, int from_y)
{
    void *memory = NULL;

    if (!EXPECT_SUCCESS(vaMapBuffer(va, image->buf, &memory)))
        return;
    for (int component = 0; component < 3; component++) {
        int half = component == 0 ? 1 : 2, wrong = 0;

        for (int row = 0; row < samples_across(component, height); row++)
            for (int column = 0; column < samples_across(component, width); column++)
                wrong += sample(image, memory, component, x / half + column, y / half + row) !=
                         pattern(image->format.fourcc, seed, component, from_x / half + column,
                                 from_y / half + row);
        CHECK(wrong == 0, "format %.4s, seed %u, component %d: %d samples differ",
              (const char *)&image->format.fourcc, seed, component, wrong);
    }
    EXPECT_SUCCESS(vaUnmapBuffer(va, image->buf));
}

static void test_formats(VADisplay va)
{
    VAImageFormat *formats = calloc((size_t)vaMaxNumImageFormats(va), sizeof *formats);
    int count = 0;

    EXPECT_SUCCESS(vaQueryImageFormats(va, formats, &count));
    CHECK(count > 0 && count <= vaMaxNumImageFormats(va), "%d formats", count);
    for (size_t i = 0; i < FOURCCS; i++) {
        bool found = false;

        for (int j = 0; j < count; j++)
            found |= formats[j].fourcc == fourccs[i];
        CHECK(found, "format %.4s is not listed", (const char *)&fourccs[i]);
    }
    for (int i = 0; i < count; i++) {
        VAImage image;

        memset(&image, 0, sizeof image);
        if (!EXPECT_SUCCESS(vaCreateImage(va, &formats[i], 35, 21, &image)))
            continue;
        CHECK(image.width == 35 && image.height == 21, "%u x %u", image.width, image.height);
        CHECK(image.format.fourcc == formats[i].fourcc, "another format than asked for");
        CHECK(image.num_palette_entries == 0 && image.entry_bytes == 0, "a palette");
        for (unsigned plane = 0; plane < image.num_planes; plane++) {
            unsigned rows = plane == 0 ? 21 : 11;

            CHECK(image.offsets[plane] + image.pitches[plane] * rows <= image.data_size,
                  "plane %u ends behind %u bytes", plane, image.data_size);
        }
        fill(va, &image, 3);
        check_pattern(va, &image, 3, 0, 0, 35, 21, 0, 0);
        EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaDestroyBuffer(va, image.buf));
        EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
        EXPECT(VA_STATUS_ERROR_INVALID_IMAGE, vaDestroyImage(va, image.image_id));
        EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaUnmapBuffer(va, image.buf));
    }
    free(formats);
}

static void test_refusals(VADisplay va)
{
    VAImageFormat format;
    VAImage image;
    unsigned char palette[16] = { 0 };

    memset(&format, 0, sizeof format);
    format.fourcc = VA_FOURCC_ARGB;
    EXPECT(VA_STATUS_ERROR_INVALID_IMAGE_FORMAT, vaCreateImage(va, &format, 64, 64, &image));
    format.fourcc = VA_FOURCC_NV12;
    EXPECT_EITHER(VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaCreateImage(va, &format, 0, 64, &image));
    EXPECT_EITHER(VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaCreateImage(va, &format, 64, -64, &image));
    EXPECT_EITHER(VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaCreateImage(va, &format, 1 << 20, 1 << 20, &image));
    EXPECT(VA_STATUS_ERROR_INVALID_IMAGE, vaDestroyImage(va, NO_SUCH_ID));
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaDeriveImage(va, NO_SUCH_ID, &image));
    image = make_image(va, VA_FOURCC_NV12, 64, 64);
    EXPECT_EITHER(VA_STATUS_ERROR_UNIMPLEMENTED, VA_STATUS_ERROR_INVALID_IMAGE_FORMAT,
                  vaSetImagePalette(va, image.image_id, palette));
    EXPECT(VA_STATUS_ERROR_INVALID_IMAGE, vaSetImagePalette(va, NO_SUCH_ID, palette));
    EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
}

/* vaPutImage in one format, vaGetImage in another. */
static void test_conversion(VADisplay va, unsigned rt_format, uint32_t put, uint32_t get)
{
    VASurfaceID surface = make_surface(va, rt_format, 61, 35);
    VAImage source = make_image(va, put, 61, 35), target = make_image(va, get, 61, 35);

    fill(va, &source, 11);
    EXPECT_SUCCESS(vaPutImage(va, surface, source.image_id, 0, 0, 61, 35, 0, 0, 61, 35));
    EXPECT_SUCCESS(vaGetImage(va, surface, 0, 0, 61, 35, target.image_id));
    check_pattern(va, &target, 11, 0, 0, 61, 35, 0, 0);

    /* A part of another picture into the middle, and a part around it out again. */
    fill(va, &source, 99);
    EXPECT_SUCCESS(vaPutImage(va, surface, source.image_id, 4, 2, 20, 10, 16, 8, 20, 10));
    EXPECT_SUCCESS(vaGetImage(va, surface, 16, 8, 20, 10, target.image_id));
    check_pattern(va, &target, 99, 0, 0, 20, 10, 4, 2);
    EXPECT_SUCCESS(vaGetImage(va, surface, 36, 8, 25, 27, target.image_id));
    check_pattern(va, &target, 11, 0, 0, 25, 27, 36, 8);
    EXPECT_SUCCESS(vaGetImage(va, surface, 0, 18, 61, 17, target.image_id));
    check_pattern(va, &target, 11, 0, 0, 61, 17, 0, 18);

    EXPECT_SUCCESS(vaDestroyImage(va, source.image_id));
    EXPECT_SUCCESS(vaDestroyImage(va, target.image_id));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
}

static void test_bad_copies(VADisplay va)
{
    VASurfaceID surface = make_surface(va, VA_RT_FORMAT_YUV420, 64, 64);
    VAImage image = make_image(va, VA_FOURCC_I420, 64, 64), deep = make_image(va, VA_FOURCC_P010, 64, 64);
    VAImage small = make_image(va, VA_FOURCC_NV12, 32, 32);

    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaGetImage(va, NO_SUCH_ID, 0, 0, 64, 64, image.image_id));
    EXPECT(VA_STATUS_ERROR_INVALID_IMAGE, vaGetImage(va, surface, 0, 0, 64, 64, NO_SUCH_ID));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, vaGetImage(va, surface, 1, 0, 64, 64, image.image_id));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, vaGetImage(va, surface, 0, 65, 1, 1, image.image_id));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, vaGetImage(va, surface, -1, 0, 8, 8, image.image_id));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaGetImage(va, surface, 1, 1, 0xffffffff, 0xffffffff, image.image_id));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, vaGetImage(va, surface, 0, 0, 64, 64, small.image_id));
    EXPECT(VA_STATUS_ERROR_INVALID_IMAGE_FORMAT, vaGetImage(va, surface, 0, 0, 64, 64, deep.image_id));

    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE,
           vaPutImage(va, NO_SUCH_ID, image.image_id, 0, 0, 8, 8, 0, 0, 8, 8));
    EXPECT(VA_STATUS_ERROR_INVALID_IMAGE, vaPutImage(va, surface, NO_SUCH_ID, 0, 0, 8, 8, 0, 0, 8, 8));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutImage(va, surface, image.image_id, 60, 0, 8, 8, 0, 0, 8, 8));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutImage(va, surface, image.image_id, 0, 0, 8, 8, 0, 60, 8, 8));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutImage(va, surface, image.image_id, -4, 0, 8, 8, 0, 0, 8, 8));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutImage(va, surface, image.image_id, 0, 0, 8, 8, 0, -1, 8, 8));
    /* Nothing is scaled. */
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_PARAMETER, VA_STATUS_ERROR_UNIMPLEMENTED,
                  vaPutImage(va, surface, image.image_id, 0, 0, 8, 8, 0, 0, 16, 16));
    EXPECT(VA_STATUS_ERROR_INVALID_IMAGE_FORMAT,
           vaPutImage(va, surface, deep.image_id, 0, 0, 8, 8, 0, 0, 8, 8));

    EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
    EXPECT_SUCCESS(vaDestroyImage(va, deep.image_id));
    EXPECT_SUCCESS(vaDestroyImage(va, small.image_id));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
}

/* A derived image is the surface's memory. */
static void test_derived(VADisplay va, unsigned rt_format, uint32_t fourcc)
{
    VASurfaceID surface = make_surface(va, rt_format, 50, 30);
    VAImage image = make_image(va, fourcc, 50, 30), derived;

    if (EXPECT_SUCCESS(vaDeriveImage(va, surface, &derived))) {
        CHECK(derived.format.fourcc == fourcc, "a surface of format 0x%x", derived.format.fourcc);
        CHECK(derived.width == 50 && derived.height == 30, "%u x %u", derived.width, derived.height);
        fill(va, &image, 17);
        EXPECT_SUCCESS(vaPutImage(va, surface, image.image_id, 0, 0, 50, 30, 0, 0, 50, 30));
        check_pattern(va, &derived, 17, 0, 0, 50, 30, 0, 0);
        fill(va, &derived, 18);
        EXPECT_SUCCESS(vaSyncBuffer(va, derived.buf, VA_TIMEOUT_INFINITE));
        EXPECT_SUCCESS(vaGetImage(va, surface, 0, 0, 50, 30, image.image_id));
        check_pattern(va, &image, 18, 0, 0, 50, 30, 0, 0);
        /* The surface cannot be copied into itself. */
        EXPECT_EITHER(VA_STATUS_ERROR_OPERATION_FAILED, VA_STATUS_ERROR_INVALID_PARAMETER,
                      vaGetImage(va, surface, 0, 0, 50, 30, derived.image_id));
        /* The image may outlive the surface. */
        EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
        check_pattern(va, &derived, 18, 0, 0, 50, 30, 0, 0);
        EXPECT_SUCCESS(vaDestroyImage(va, derived.image_id));
    }
    EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
}

void test_images(VADisplay va)
{
    test_formats(va);
    test_refusals(va);
    for (size_t i = 0; i < FOURCCS; i++)
        for (size_t j = 0; j < FOURCCS; j++)
            if (fourccs[i] != VA_FOURCC_P010 && fourccs[j] != VA_FOURCC_P010)
                test_conversion(va, VA_RT_FORMAT_YUV420, fourccs[i], fourccs[j]);
    test_conversion(va, VA_RT_FORMAT_YUV420_10, VA_FOURCC_P010, VA_FOURCC_P010);
    test_bad_copies(va);
    test_derived(va, VA_RT_FORMAT_YUV420, VA_FOURCC_NV12);
    test_derived(va, VA_RT_FORMAT_YUV420_10, VA_FOURCC_P010);
}
