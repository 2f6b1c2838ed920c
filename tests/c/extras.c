/* Entries that a decoder has little or nothing to say to: overlays, display attributes, and the rest. */
#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <va/va_vpp.h>

void test_overlays_and_attributes(VADisplay va)
{
    VASurfaceID surface = make_surface(va, VA_RT_FORMAT_YUV420, 64, 64);
    VAImage image = make_image(va, VA_FOURCC_NV12, 64, 64);
    VAImageFormat *formats = calloc((size_t)vaMaxNumSubpictureFormats(va), sizeof *formats);
    unsigned *flags = calloc((size_t)vaMaxNumSubpictureFormats(va), sizeof *flags);
    VADisplayAttribute *attributes = calloc((size_t)vaMaxNumDisplayAttributes(va) + 1, sizeof *attributes);
    VASubpictureID subpicture = VA_INVALID_ID;
    unsigned count = 77;
    int attribute_count = 77;

    /* No subpictures: no formats, hence none can be made, hence no id is valid. */
    EXPECT_SUCCESS(vaQuerySubpictureFormats(va, formats, flags, &count));
    CHECK(count == 0, "%u subpicture formats", count);
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_IMAGE_FORMAT, VA_STATUS_ERROR_UNIMPLEMENTED,
                  vaCreateSubpicture(va, image.image_id, &subpicture));
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_IMAGE, VA_STATUS_ERROR_UNIMPLEMENTED,
                  vaCreateSubpicture(va, NO_SUCH_ID, &subpicture));
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_SUBPICTURE, VA_STATUS_ERROR_UNIMPLEMENTED,
                  vaDestroySubpicture(va, NO_SUCH_ID));
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_SUBPICTURE, VA_STATUS_ERROR_UNIMPLEMENTED,
                  vaSetSubpictureImage(va, NO_SUCH_ID, image.image_id));
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_SUBPICTURE, VA_STATUS_ERROR_UNIMPLEMENTED,
                  vaSetSubpictureChromakey(va, NO_SUCH_ID, 0, 1, 2));
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_SUBPICTURE, VA_STATUS_ERROR_UNIMPLEMENTED,
                  vaSetSubpictureGlobalAlpha(va, NO_SUCH_ID, 0.5f));
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_SUBPICTURE, VA_STATUS_ERROR_UNIMPLEMENTED,
                  vaAssociateSubpicture(va, NO_SUCH_ID, &surface, 1, 0, 0, 8, 8, 0, 0, 8, 8, 0));
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_SUBPICTURE, VA_STATUS_ERROR_UNIMPLEMENTED,
                  vaDeassociateSubpicture(va, NO_SUCH_ID, &surface, 1));

    EXPECT_SUCCESS(vaQueryDisplayAttributes(va, attributes, &attribute_count));
    CHECK(attribute_count >= 0 && attribute_count <= vaMaxNumDisplayAttributes(va), "%d attributes",
          attribute_count);
    attributes[0].type = VADisplayAttribBrightness;
    attributes[0].flags = VA_DISPLAY_ATTRIB_GETTABLE | VA_DISPLAY_ATTRIB_SETTABLE;
    EXPECT_SUCCESS(vaGetDisplayAttributes(va, attributes, 1));
    CHECK(attributes[0].flags == VA_DISPLAY_ATTRIB_NOT_SUPPORTED, "flags 0x%x", attributes[0].flags);
    EXPECT(VA_STATUS_ERROR_ATTR_NOT_SUPPORTED, vaSetDisplayAttributes(va, attributes, 1));
    EXPECT_SUCCESS(vaSetDisplayAttributes(va, attributes, 0));

    free(formats);
    free(flags);
    free(attributes);
    EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
}

/* Entries that libva may call through a null pointer check only: video processing, encoding. */
static void test_unimplemented(VADisplay va)
{
    VAConfigID config = make_config(va, VAProfileH264Main);
    VAContextID context = make_context(va, config, 64, 64);
    VAProcessingRateParameter rate;
    VAProcFilterType filters[VAProcFilterCount];
    VAProcPipelineCaps caps;
    VAMFContextID multi = VA_INVALID_ID;
    VACopyObject from, to;
    VACopyOption option;
    unsigned count = VAProcFilterCount, value = 0;

    memset(&rate, 0, sizeof rate);
    memset(&caps, 0, sizeof caps);
    memset(&from, 0, sizeof from);
    memset(&to, 0, sizeof to);
    memset(&option, 0, sizeof option);
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED, vaCreateMFContext(va, &multi));
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED, vaMFAddContext(va, NO_SUCH_ID, context));
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED, vaMFReleaseContext(va, NO_SUCH_ID, context));
    EXPECT_EITHER(VA_STATUS_ERROR_UNIMPLEMENTED, VA_STATUS_ERROR_UNKNOWN,
                  vaMFSubmit(va, NO_SUCH_ID, &context, 1));
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED, vaQueryProcessingRate(va, config, &rate, &value));
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED, vaQueryVideoProcFilters(va, context, filters, &count));
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED, vaQueryVideoProcPipelineCaps(va, context, NULL, 0, &caps));
    from.obj_type = to.obj_type = VACopyObjectSurface;
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED, vaCopy(va, &to, &from, option));
    EXPECT_SUCCESS(vaDestroyContext(va, context));
    EXPECT_SUCCESS(vaDestroyConfig(va, config));
}

void test_what_is_not_there(VADisplay va)
{
    VASurfaceID surface = make_surface(va, VA_RT_FORMAT_YUV420, 64, 64);
    unsigned out[8];
    void *memory = NULL;

    /* Exported by libva, declared in no header; libva's tracing calls them. */
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED,
           vtable_of(va)->vaLockSurface(driver_of(va), surface, &out[0], &out[1], &out[2], &out[3], &out[4],
                                        &out[5], &out[6], &out[7], &memory));
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED, vtable_of(va)->vaUnlockSurface(driver_of(va), surface));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));

    test_unimplemented(va);
}
