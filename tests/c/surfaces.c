/* Making, waiting for and asking about surfaces that nothing is decoded into. */
#include "client.h"

#include <string.h>

static VASurfaceAttrib integer_attribute(VASurfaceAttribType type, uint32_t value)
{
    VASurfaceAttrib attribute;

    memset(&attribute, 0, sizeof attribute);
    attribute.type = type;
    attribute.flags = VA_SURFACE_ATTRIB_SETTABLE;
    attribute.value.type = VAGenericValueTypeInteger;
    attribute.value.value.i = (int32_t)value;
    return attribute;
}

static void test_attributes(VADisplay va)
{
    VASurfaceID surfaces[3] = { VA_INVALID_SURFACE, VA_INVALID_SURFACE, VA_INVALID_SURFACE };
    VASurfaceAttrib attributes[3];

    attributes[0] = integer_attribute(VASurfaceAttribPixelFormat, VA_FOURCC_NV12);
    attributes[1] = integer_attribute(VASurfaceAttribMemoryType, VA_SURFACE_ATTRIB_MEM_TYPE_VA);
    attributes[2] = integer_attribute(VASurfaceAttribUsageHint, VA_SURFACE_ATTRIB_USAGE_HINT_DECODER);
    if (EXPECT_SUCCESS(vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, 130, 70, surfaces, 3, attributes, 3))) {
        CHECK(surfaces[0] != surfaces[1] && surfaces[1] != surfaces[2] && surfaces[0] != surfaces[2],
              "ids 0x%x, 0x%x, 0x%x", surfaces[0], surfaces[1], surfaces[2]);
        EXPECT_SUCCESS(vaDestroySurfaces(va, surfaces, 3));
    }

    attributes[0] = integer_attribute(VASurfaceAttribPixelFormat, VA_FOURCC_P010);
    if (EXPECT_SUCCESS(
            vaCreateSurfaces(va, VA_RT_FORMAT_YUV420_10, 64, 64, surfaces, 1, attributes, 1))) {
        VAImage image;

        if (EXPECT_SUCCESS(vaDeriveImage(va, surfaces[0], &image))) {
            CHECK(image.format.fourcc == VA_FOURCC_P010, "fourcc 0x%x", image.format.fourcc);
            EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
        }
        EXPECT_SUCCESS(vaDestroySurfaces(va, surfaces, 1));
    }

    attributes[0] = integer_attribute(VASurfaceAttribPixelFormat, VA_FOURCC_ARGB);
    EXPECT_EITHER(VA_STATUS_ERROR_ATTR_NOT_SUPPORTED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, 64, 64, surfaces, 1, attributes, 1));
    /* A 10-bit format for an 8-bit surface. */
    attributes[0] = integer_attribute(VASurfaceAttribPixelFormat, VA_FOURCC_P010);
    EXPECT_EITHER(VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT, VA_STATUS_ERROR_ATTR_NOT_SUPPORTED,
                  vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, 64, 64, surfaces, 1, attributes, 1));
    attributes[0] = integer_attribute(VASurfaceAttribMemoryType, VA_SURFACE_ATTRIB_MEM_TYPE_USER_PTR);
    EXPECT_EITHER(VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE, VA_STATUS_ERROR_ATTR_NOT_SUPPORTED,
                  vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, 64, 64, surfaces, 1, attributes, 1));
    attributes[0] = integer_attribute((VASurfaceAttribType)999, 1);
    EXPECT(VA_STATUS_ERROR_ATTR_NOT_SUPPORTED,
           vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, 64, 64, surfaces, 1, attributes, 1));
    attributes[0] = integer_attribute(VASurfaceAttribPixelFormat, VA_FOURCC_NV12);
    attributes[0].value.type = VAGenericValueTypeFloat;
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_PARAMETER, VA_STATUS_ERROR_ATTR_NOT_SUPPORTED,
                  vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, 64, 64, surfaces, 1, attributes, 1));
}

static void test_sizes(VADisplay va)
{
    static const unsigned refused[][2] = {
        { 0, 64 }, { 64, 0 }, { 0, 0 }, { 1 << 20, 64 }, { 64, 1 << 20 }, { 1 << 20, 1 << 20 },
        { 0xffffffff, 0xffffffff }, { 0x80000000, 2 },
    };
    static const unsigned fine[][2] = { { 1, 1 }, { 2, 1 }, { 17, 3 }, { 16384, 16 }, { 16, 16384 } };
    VASurfaceID surface = VA_INVALID_SURFACE;

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        EXPECT_EITHER(VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, VA_STATUS_ERROR_INVALID_PARAMETER,
                      vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, refused[i][0], refused[i][1], &surface, 1,
                                       NULL, 0));
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        if (EXPECT_SUCCESS(vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, fine[i][0], fine[i][1], &surface, 1,
                                            NULL, 0)))
            EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT,
           vaCreateSurfaces(va, VA_RT_FORMAT_YUV444, 64, 64, &surface, 1, NULL, 0));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, 64, 64, &surface, 0, NULL, 0));
}

void test_surfaces(VADisplay va)
{
    VASurfaceStatus status = (VASurfaceStatus)0;
    VASurfaceID surface, pair[2];
    void *errors = NULL;

    test_attributes(va);
    test_sizes(va);

    surface = make_surface(va, VA_RT_FORMAT_YUV420, 64, 48);
    EXPECT_SUCCESS(vaSyncSurface(va, surface));
    EXPECT_SUCCESS(vaSyncSurface2(va, surface, 0));
    EXPECT_SUCCESS(vaSyncSurface2(va, surface, 10000000000));
    EXPECT_SUCCESS(vaSyncSurface2(va, surface, VA_TIMEOUT_INFINITE));
    EXPECT_SUCCESS(vaQuerySurfaceStatus(va, surface, &status));
    CHECK(status == VASurfaceReady, "an idle surface has status %d", status);
    if (EXPECT_SUCCESS(vaQuerySurfaceError(va, surface, VA_STATUS_ERROR_DECODING_ERROR, &errors)))
        CHECK(errors && ((VASurfaceDecodeMBErrors *)errors)[0].status == -1,
              "an idle surface has decoding errors");
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaQuerySurfaceError(va, surface, VA_STATUS_ERROR_ENCODING_ERROR, &errors));

    /* All or none: one bad id leaves the good one alone. */
    pair[0] = surface;
    pair[1] = NO_SUCH_ID;
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaDestroySurfaces(va, pair, 2));
    EXPECT_SUCCESS(vaSyncSurface(va, surface));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));

    /* The id is stale now, also once new surfaces are made. */
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaDestroySurfaces(va, &surface, 1));
    pair[0] = make_surface(va, VA_RT_FORMAT_YUV420, 64, 48);
    CHECK(pair[0] != surface, "a stale id came back at once");
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaSyncSurface(va, surface));
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaSyncSurface2(va, surface, 0));
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaQuerySurfaceStatus(va, surface, &status));
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE,
           vaQuerySurfaceError(va, surface, VA_STATUS_ERROR_DECODING_ERROR, &errors));
    EXPECT_SUCCESS(vaDestroySurfaces(va, pair, 1));

    /* libva prefers vaCreateSurfaces2, so the old entry can only be called directly. */
    pair[0] = VA_INVALID_SURFACE;
    if (EXPECT_SUCCESS(vtable_of(va)->vaCreateSurfaces(driver_of(va), 64, 64, VA_RT_FORMAT_YUV420, 2, pair)))
        EXPECT_SUCCESS(vaDestroySurfaces(va, pair, 2));
    EXPECT_EITHER(VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vtable_of(va)->vaCreateSurfaces(driver_of(va), -64, 64, VA_RT_FORMAT_YUV420, 1, pair));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vtable_of(va)->vaCreateSurfaces(driver_of(va), 64, 64, VA_RT_FORMAT_YUV420, -1, pair));
}
