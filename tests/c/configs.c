/* Profiles, entrypoints, configs, and what surfaces for a config can be. */
#include "client.h"

#include <stdlib.h>
#include <string.h>

static const VAProfile profiles[] = {
    VAProfileH264ConstrainedBaseline, VAProfileH264Main,    VAProfileH264High,
    VAProfileVP9Profile0,             VAProfileVP9Profile2, VAProfileAV1Profile0,
};
#define PROFILES (sizeof profiles / sizeof profiles[0])

static void test_profile(VADisplay va, VAProfile profile)
{
    VAConfigAttrib attributes[] = {
        { .type = VAConfigAttribRTFormat },
        { .type = VAConfigAttribMaxPictureWidth },
        { .type = VAConfigAttribMaxPictureHeight },
        { .type = VAConfigAttribRateControl },
    };
    VAConfigAttrib *made = calloc((size_t)vaMaxNumConfigAttributes(va), sizeof *made);
    VAEntrypoint *entrypoints = calloc((size_t)vaMaxNumEntrypoints(va), sizeof *entrypoints);
    VAEntrypoint entrypoint = VAEntrypointEncSlice;
    VAProfile its_profile = VAProfileNone;
    VAConfigID config = VA_INVALID_ID;
    unsigned deep = profile == VAProfileVP9Profile2 ? VA_RT_FORMAT_YUV420_10 : VA_RT_FORMAT_YUV420;
    /* Some clients (Chromium) leave the number uninitialised: it is output only. */
    int count = -77;
    bool found = false;

    EXPECT_SUCCESS(vaQueryConfigEntrypoints(va, profile, entrypoints, &count));
    CHECK(count == 1 && entrypoints[0] == VAEntrypointVLD, "profile %d has %d entrypoints", profile, count);
    EXPECT_SUCCESS(vaGetConfigAttributes(va, profile, VAEntrypointVLD, attributes, 4));
    CHECK(attributes[0].value & deep, "profile %d: formats 0x%x", profile, attributes[0].value);
    CHECK(attributes[1].value >= 4096 && attributes[1].value != VA_ATTRIB_NOT_SUPPORTED,
          "profile %d: %u wide", profile, attributes[1].value);
    CHECK(attributes[2].value >= 2304 && attributes[2].value != VA_ATTRIB_NOT_SUPPORTED,
          "profile %d: %u high", profile, attributes[2].value);
    CHECK(attributes[3].value == VA_ATTRIB_NOT_SUPPORTED, "a decoder has no rate control");
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT,
           vaGetConfigAttributes(va, profile, VAEntrypointEncSlice, attributes, 1));
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT,
           vaCreateConfig(va, profile, VAEntrypointEncSlice, NULL, 0, &config));

    attributes[0].value = VA_RT_FORMAT_YUV444;
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT,
           vaCreateConfig(va, profile, VAEntrypointVLD, attributes, 1, &config));
    attributes[0].value = deep;
    if (EXPECT_SUCCESS(vaCreateConfig(va, profile, VAEntrypointVLD, attributes, 1, &config))) {
        count = -77;
        EXPECT_SUCCESS(vaQueryConfigAttributes(va, config, &its_profile, &entrypoint, made, &count));
        CHECK(its_profile == profile && entrypoint == VAEntrypointVLD, "profile %d, entrypoint %d",
              its_profile, entrypoint);
        for (int i = 0; i < count; i++)
            if (made[i].type == VAConfigAttribRTFormat)
                found = made[i].value == deep;
        CHECK(found, "profile %d: the config does not list its format", profile);
        EXPECT_SUCCESS(vaDestroyConfig(va, config));
    }
    EXPECT(VA_STATUS_ERROR_INVALID_CONFIG, vaDestroyConfig(va, config));
    EXPECT(VA_STATUS_ERROR_INVALID_CONFIG,
           vaQueryConfigAttributes(va, config, &its_profile, &entrypoint, made, &count));
    free(made);
    free(entrypoints);
}

static void test_surface_attributes(VADisplay va, VAProfile profile, uint32_t fourcc)
{
    VAConfigID config = make_config(va, profile);
    VASurfaceAttrib attributes[64];
    unsigned count = 0, needed;
    bool format = false, memory = false;
    int max_width = 0, max_height = 0;

    EXPECT_SUCCESS(vaQuerySurfaceAttributes(va, config, NULL, &count));
    CHECK(count > 0 && count <= 64, "%u attributes", count);
    needed = count;
    count = 1;
    EXPECT(VA_STATUS_ERROR_MAX_NUM_EXCEEDED, vaQuerySurfaceAttributes(va, config, attributes, &count));
    CHECK(count == needed, "told to make room for %u of %u", count, needed);
    count = 64;
    memset(attributes, 0, sizeof attributes);
    EXPECT_SUCCESS(vaQuerySurfaceAttributes(va, config, attributes, &count));
    CHECK(count == needed, "%u attributes, then %u", needed, count);
    for (unsigned i = 0; i < count && i < 64; i++) {
        int value = attributes[i].value.value.i;

        /* What a client brings is nothing that it could get. */
        CHECK(attributes[i].flags & (attributes[i].type == VASurfaceAttribExternalBufferDescriptor ?
                                         VA_SURFACE_ATTRIB_SETTABLE :
                                         VA_SURFACE_ATTRIB_GETTABLE),
              "attribute %d", attributes[i].type);
        if (attributes[i].type == VASurfaceAttribPixelFormat)
            format |= value == (int)fourcc;
        if (attributes[i].type == VASurfaceAttribMemoryType)
            memory = value & VA_SURFACE_ATTRIB_MEM_TYPE_VA;
        if (attributes[i].type == VASurfaceAttribMaxWidth)
            max_width = value;
        if (attributes[i].type == VASurfaceAttribMaxHeight)
            max_height = value;
    }
    CHECK(format, "profile %d does not offer its pixel format", profile);
    CHECK(memory, "profile %d does not offer plain memory", profile);
    CHECK(max_width >= 4096 && max_height >= 2304, "at most %d x %d", max_width, max_height);
    EXPECT_SUCCESS(vaDestroyConfig(va, config));
}

void test_configs(VADisplay va)
{
    VAProfile *listed = calloc((size_t)vaMaxNumProfiles(va), sizeof *listed);
    VAEntrypoint *entrypoints = calloc((size_t)vaMaxNumEntrypoints(va), sizeof *entrypoints);
    VAConfigAttrib attribute = { .type = VAConfigAttribRTFormat };
    VAConfigID config = VA_INVALID_ID;
    unsigned count_attributes = 0;
    int count = 0;

    EXPECT_SUCCESS(vaQueryConfigProfiles(va, listed, &count));
    CHECK(count > 0 && count <= vaMaxNumProfiles(va), "%d profiles", count);
    for (size_t i = 0; i < PROFILES; i++) {
        bool found = false;

        for (int j = 0; j < count; j++)
            found |= listed[j] == profiles[i];
        CHECK(found, "profile %d is not listed", profiles[i]);
        test_profile(va, profiles[i]);
    }

    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_PROFILE,
           vaQueryConfigEntrypoints(va, VAProfileMPEG2Simple, entrypoints, &count));
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_PROFILE,
           vaGetConfigAttributes(va, VAProfileHEVCMain, VAEntrypointVLD, &attribute, 1));
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_PROFILE,
           vaCreateConfig(va, VAProfileNone, VAEntrypointVideoProc, NULL, 0, &config));
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_PROFILE,
           vaCreateConfig(va, (VAProfile)12345, VAEntrypointVLD, NULL, 0, &config));
    EXPECT(VA_STATUS_ERROR_INVALID_CONFIG, vaDestroyConfig(va, NO_SUCH_ID));
    EXPECT(VA_STATUS_ERROR_INVALID_CONFIG,
           vaQuerySurfaceAttributes(va, NO_SUCH_ID, NULL, &count_attributes));

    test_surface_attributes(va, VAProfileH264High, VA_FOURCC_NV12);
    test_surface_attributes(va, VAProfileVP9Profile0, VA_FOURCC_NV12);
    test_surface_attributes(va, VAProfileVP9Profile2, VA_FOURCC_P010);
    test_surface_attributes(va, VAProfileAV1Profile0, VA_FOURCC_NV12);
    test_surface_attributes(va, VAProfileAV1Profile0, VA_FOURCC_P010);
    free(listed);
    free(entrypoints);
}
