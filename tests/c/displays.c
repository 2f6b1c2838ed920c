/* vaInitialize and vaTerminate, several times and side by side. */
#include "client.h"

#include <string.h>

void test_displays(void)
{
    struct client first, second;
    VAConfigID config;
    VASurfaceID surface;

    for (int round = 0; round < 3; round++) {
        const char *vendor;

        first = open_client();
        CHECK(vaDisplayIsValid(first.va), "round %d", round);
        vendor = vaQueryVendorString(first.va);
        CHECK(vendor && strlen(vendor) > 0, "no vendor string in round %d", round);
        CHECK(vaMaxNumProfiles(first.va) > 0, "round %d", round);
        CHECK(vaMaxNumEntrypoints(first.va) > 0, "round %d", round);
        CHECK(vaMaxNumConfigAttributes(first.va) > 0, "round %d", round);
        CHECK(vaMaxNumImageFormats(first.va) > 0, "round %d", round);
        CHECK(vaMaxNumSubpictureFormats(first.va) > 0, "libva's checks want one, round %d", round);
        CHECK(vaMaxNumDisplayAttributes(first.va) >= 0, "round %d", round);

        /* Everything is left to vaTerminate, in round 1 with a decoded picture, in round 2 with one begun. */
        config = make_config(first.va, VAProfileH264Main);
        surface = make_surface(first.va, VA_RT_FORMAT_YUV420, PCM_WIDTH, PCM_HEIGHT);
        if (round > 0) {
            VAContextID context = make_context(first.va, config, PCM_WIDTH, PCM_HEIGHT);
            VAImage image;
            void *memory;

            decode_pcm(first.va, context, surface, 9);
            if (round == 2) {
                EXPECT_SUCCESS(vaBeginPicture(first.va, context, surface));
                make_buffer(first.va, context, VASliceDataBufferType, 100, NULL);
            }
            EXPECT_SUCCESS(vaDeriveImage(first.va, surface, &image));
            EXPECT_SUCCESS(vaMapBuffer(first.va, image.buf, &memory));
        }
        close_client(&first);
    }

    /* Two displays in one process do not know each other's objects, and outlive each other. */
    first = open_client();
    second = open_client();
    config = make_config(first.va, VAProfileVP9Profile0);
    EXPECT(VA_STATUS_ERROR_INVALID_CONFIG, vaDestroyConfig(second.va, config));
    surface = make_surface(second.va, VA_RT_FORMAT_YUV420, 64, 64);
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaSyncSurface(first.va, surface));
    close_client(&first);
    EXPECT_SUCCESS(vaSyncSurface(second.va, surface));
    EXPECT_SUCCESS(vaDestroySurfaces(second.va, &surface, 1));
    close_client(&second);
}
