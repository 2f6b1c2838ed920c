/* Decoding pictures, and vaBeginPicture, vaRenderPicture and vaEndPicture out of order. */
#include "client.h"

#include <string.h>

struct decoder {
    VAConfigID config;
    VAContextID context;
    VASurfaceID surface;
};

static struct decoder make_decoder(VADisplay va)
{
    struct decoder decoder;

    decoder.config = make_config(va, VAProfileH264Main);
    decoder.surface = make_surface(va, VA_RT_FORMAT_YUV420, PCM_WIDTH, PCM_HEIGHT);
    decoder.context = make_context(va, decoder.config, PCM_WIDTH, PCM_HEIGHT);
    return decoder;
}

static void destroy_decoder(VADisplay va, struct decoder *decoder)
{
    EXPECT_SUCCESS(vaDestroyContext(va, decoder->context));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &decoder->surface, 1));
    EXPECT_SUCCESS(vaDestroyConfig(va, decoder->config));
}

/* A picture whose decoding failed or never happened is told by vaSyncSurface and vaQuerySurfaceError. */
static void expect_broken(VADisplay va, VASurfaceID surface)
{
    VASurfaceDecodeMBErrors *errors = NULL;

    EXPECT(VA_STATUS_ERROR_DECODING_ERROR, vaSyncSurface(va, surface));
    if (EXPECT_SUCCESS(
            vaQuerySurfaceError(va, surface, VA_STATUS_ERROR_DECODING_ERROR, (void **)&errors))) {
        CHECK(errors && errors[0].status == 1 && errors[1].status == -1,
              "the errors are one record and an end");
    }
}

static void test_decoding(VADisplay va)
{
    struct decoder decoder;
    VASurfaceStatus status = VASurfaceSkipped;
    VASurfaceID second;

    /* Torn down surface first. */
    decoder = make_decoder(va);
    decode_pcm(va, decoder.context, decoder.surface, 1);
    EXPECT_SUCCESS(vaSyncSurface(va, decoder.surface));
    EXPECT_SUCCESS(vaQuerySurfaceStatus(va, decoder.surface, &status));
    CHECK(status == VASurfaceReady, "status %d after vaSyncSurface", status);
    check_pcm(va, decoder.surface, 1);
    EXPECT_SUCCESS(vaDestroySurfaces(va, &decoder.surface, 1));
    EXPECT_SUCCESS(vaDestroyContext(va, decoder.context));
    EXPECT_SUCCESS(vaDestroyConfig(va, decoder.config));

    /* Torn down context first; pixels outlive it. No sync: mapping and vaGetImage wait. */
    decoder = make_decoder(va);
    decode_pcm(va, decoder.context, decoder.surface, 2);
    check_pcm(va, decoder.surface, 2);
    decode_pcm(va, decoder.context, decoder.surface, 3);
    EXPECT_SUCCESS(vaDestroyContext(va, decoder.context));
    EXPECT_SUCCESS(vaDestroyConfig(va, decoder.config));
    check_pcm(va, decoder.surface, 3);
    EXPECT_SUCCESS(vaDestroySurfaces(va, &decoder.surface, 1));

    /* A client that downloads, and then looks at surfaces in other ways. */
    decoder = make_decoder(va);
    for (unsigned seed = 10; seed < 16; seed++) {
        decode_pcm(va, decoder.context, decoder.surface, seed);
        check_pcm_download(va, decoder.surface, seed, VA_FOURCC_NV12);
        check_pcm_download(va, decoder.surface, seed, VA_FOURCC_NV12);
    }
    check_pcm_download(va, decoder.surface, 15, VA_FOURCC_YV12);
    decode_pcm(va, decoder.context, decoder.surface, 16);
    check_pcm_download(va, decoder.surface, 16, VA_FOURCC_NV12);
    decode_pcm(va, decoder.context, decoder.surface, 17);
    check_pcm(va, decoder.surface, 17);
    decode_pcm(va, decoder.context, decoder.surface, 18);
    check_pcm_download(va, decoder.surface, 18, VA_FOURCC_NV12);
    destroy_decoder(va, &decoder);

    /* Waiting with a limit. */
    decoder = make_decoder(va);
    second = make_surface(va, VA_RT_FORMAT_YUV420, PCM_WIDTH, PCM_HEIGHT);
    decode_pcm(va, decoder.context, decoder.surface, 4);
    decode_pcm(va, decoder.context, second, 5);
    EXPECT_EITHER(VA_STATUS_SUCCESS, VA_STATUS_ERROR_TIMEDOUT, vaSyncSurface2(va, second, 0));
    EXPECT_SUCCESS(vaSyncSurface2(va, second, 60000000000));
    EXPECT_SUCCESS(vaSyncSurface2(va, decoder.surface, VA_TIMEOUT_INFINITE));
    check_pcm(va, decoder.surface, 4);
    check_pcm(va, second, 5);
    EXPECT_SUCCESS(vaDestroySurfaces(va, &second, 1));
    destroy_decoder(va, &decoder);
}

static void test_order(VADisplay va)
{
    struct decoder one = make_decoder(va), two = make_decoder(va);
    struct pcm_slice slice;
    VAPictureParameterBufferH264 picture = pcm_picture_parameters(one.surface);
    VABufferID buffer, foreign, list[2];

    pcm_slice(&slice, 6);
    buffer = make_buffer(va, one.context, VAPictureParameterBufferType, sizeof picture, &picture);
    foreign = make_buffer(va, two.context, VASliceDataBufferType, slice.size, slice.bytes);

    EXPECT(VA_STATUS_ERROR_INVALID_CONTEXT, vaBeginPicture(va, NO_SUCH_ID, one.surface));
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaBeginPicture(va, one.context, NO_SUCH_ID));
    EXPECT(VA_STATUS_ERROR_INVALID_CONTEXT, vaRenderPicture(va, NO_SUCH_ID, &buffer, 1));
    EXPECT(VA_STATUS_ERROR_INVALID_CONTEXT, vaEndPicture(va, NO_SUCH_ID));
    EXPECT(VA_STATUS_ERROR_OPERATION_FAILED, vaRenderPicture(va, one.context, &buffer, 1));
    EXPECT(VA_STATUS_ERROR_OPERATION_FAILED, vaEndPicture(va, one.context));
    EXPECT_SUCCESS(vaSyncSurface(va, one.surface));

    EXPECT_SUCCESS(vaBeginPicture(va, one.context, one.surface));
    list[0] = buffer;
    list[1] = NO_SUCH_ID;
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaRenderPicture(va, one.context, list, 2));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaRenderPicture(va, one.context, &foreign, 1));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, vaRenderPicture(va, one.context, list, -1));
    /* While one context builds a picture for a surface, another may not. */
    EXPECT(VA_STATUS_ERROR_SURFACE_BUSY, vaBeginPicture(va, two.context, one.surface));
    /* A picture begun again starts anew; for another surface, the first one is left without a picture. */
    EXPECT_SUCCESS(vaBeginPicture(va, one.context, one.surface));
    EXPECT_SUCCESS(vaBeginPicture(va, one.context, two.surface));
    expect_broken(va, one.surface);
    /* No buffers at all. */
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaEndPicture(va, one.context));
    expect_broken(va, two.surface);
    EXPECT(VA_STATUS_ERROR_OPERATION_FAILED, vaEndPicture(va, one.context));

    /* Both surfaces are as good as new, in either context. */
    decode_pcm(va, one.context, two.surface, 7);
    decode_pcm(va, two.context, one.surface, 8);
    EXPECT_SUCCESS(vaSyncSurface(va, one.surface));
    EXPECT_SUCCESS(vaSyncSurface(va, two.surface));
    check_pcm(va, one.surface, 8);
    check_pcm(va, two.surface, 7);

    EXPECT_SUCCESS(vaDestroyBuffer(va, buffer));
    EXPECT_SUCCESS(vaDestroyBuffer(va, foreign));
    destroy_decoder(va, &one);
    destroy_decoder(va, &two);
}

/* Objects destroyed between vaBeginPicture and vaEndPicture. */
static void test_destruction(VADisplay va)
{
    struct decoder decoder = make_decoder(va);
    VAPictureParameterBufferH264 picture = pcm_picture_parameters(decoder.surface);
    VABufferID buffer;

    /* The context: its picture will never be; the surface is free for another. */
    EXPECT_SUCCESS(vaBeginPicture(va, decoder.context, decoder.surface));
    EXPECT_SUCCESS(vaDestroyContext(va, decoder.context));
    EXPECT(VA_STATUS_ERROR_INVALID_CONTEXT, vaEndPicture(va, decoder.context));
    expect_broken(va, decoder.surface);
    decoder.context = make_context(va, decoder.config, PCM_WIDTH, PCM_HEIGHT);
    decode_pcm(va, decoder.context, decoder.surface, 10);
    check_pcm(va, decoder.surface, 10);

    /* The surface, once refused or not: the context goes on. */
    EXPECT_SUCCESS(vaBeginPicture(va, decoder.context, decoder.surface));
    buffer = make_buffer(va, decoder.context, VAPictureParameterBufferType, sizeof picture, &picture);
    EXPECT_SUCCESS(vaRenderPicture(va, decoder.context, &buffer, 1));
    EXPECT_SUCCESS(vaDestroyBuffer(va, buffer));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &decoder.surface, 1));
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_BUFFER, VA_STATUS_ERROR_INVALID_SURFACE,
                  vaEndPicture(va, decoder.context));
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE, vaSyncSurface(va, decoder.surface));
    decoder.surface = make_surface(va, VA_RT_FORMAT_YUV420, PCM_WIDTH, PCM_HEIGHT);
    decode_pcm(va, decoder.context, decoder.surface, 11);
    check_pcm(va, decoder.surface, 11);

    /* The surface right after vaEndPicture, without waiting. */
    decode_pcm(va, decoder.context, decoder.surface, 12);
    EXPECT_SUCCESS(vaDestroySurfaces(va, &decoder.surface, 1));
    decoder.surface = make_surface(va, VA_RT_FORMAT_YUV420, PCM_WIDTH, PCM_HEIGHT);
    decode_pcm(va, decoder.context, decoder.surface, 13);
    check_pcm(va, decoder.surface, 13);
    destroy_decoder(va, &decoder);
}

void test_pictures(VADisplay va)
{
    test_decoding(va);
    test_order(va);
    test_destruction(va);
}

/* What is wrong with a picture; the rest of it is right. */
enum fault {
    NO_PICTURE_PARAMETERS,
    SHORT_PICTURE_PARAMETERS,
    LONG_PICTURE_PARAMETERS,
    NO_SLICE_PARAMETERS,
    NO_SLICE_DATA,
    SHORT_SLICE_PARAMETERS,
    SLICE_BEYOND_DATA,
    SLICE_OFFSET_OVERFLOW,
    /* From here on the coded bytes are bad, which only decoding can tell. */
    TRUNCATED_SLICE,
    GARBAGE_SLICE,
    EMPTY_SLICE,
    FAULTS,
};

static const char *const fault_names[FAULTS] = {
    "no picture parameters", "short picture parameters", "long picture parameters", "no slice parameters",
    "no slice data",         "short slice parameters",   "slice beyond the data",   "offset overflow",
    "truncated slice",       "garbage slice",            "slice without data",
};

static void test_fault(VADisplay va, struct decoder *decoder, enum fault fault)
{
    struct pcm_slice slice;
    VAPictureParameterBufferH264 picture[2] = { pcm_picture_parameters(decoder->surface) };
    VASliceParameterBufferH264 parameters;
    VABufferID buffers[3];
    size_t picture_size = sizeof picture[0], parameters_size = sizeof parameters;
    int count = 0;
    bool coded = fault >= TRUNCATED_SLICE;

    pcm_slice(&slice, 20);
    parameters = pcm_slice_parameters(&slice);
    if (fault == SHORT_PICTURE_PARAMETERS)
        picture_size = 16;
    if (fault == LONG_PICTURE_PARAMETERS)
        picture_size = sizeof picture;
    if (fault == SHORT_SLICE_PARAMETERS)
        parameters_size = 16;
    if (fault == SLICE_BEYOND_DATA)
        parameters.slice_data_size++;
    if (fault == SLICE_OFFSET_OVERFLOW)
        parameters.slice_data_offset = 0xfffffff0;
    if (fault == TRUNCATED_SLICE)
        parameters.slice_data_size = 500;
    if (fault == GARBAGE_SLICE)
        memset(slice.bytes + 1, 0xff, slice.size - 1);
    if (fault == EMPTY_SLICE)
        parameters.slice_data_size = 0;

    if (fault != NO_PICTURE_PARAMETERS)
        buffers[count++] = make_buffer(va, decoder->context, VAPictureParameterBufferType, picture_size, picture);
    if (fault != NO_SLICE_PARAMETERS)
        buffers[count++] =
            make_buffer(va, decoder->context, VASliceParameterBufferType, parameters_size, &parameters);
    if (fault != NO_SLICE_DATA)
        buffers[count++] =
            make_buffer(va, decoder->context, VASliceDataBufferType, slice.size, slice.bytes);

    EXPECT_SUCCESS(vaBeginPicture(va, decoder->context, decoder->surface));
    EXPECT_SUCCESS(vaRenderPicture(va, decoder->context, buffers, count));
    if (coded)
        EXPECT_SUCCESS(vaEndPicture(va, decoder->context));
    else
        EXPECT_EITHER(VA_STATUS_ERROR_INVALID_BUFFER, VA_STATUS_ERROR_INVALID_PARAMETER,
                      vaEndPicture(va, decoder->context));
    for (int i = 0; i < count; i++)
        EXPECT_SUCCESS(vaDestroyBuffer(va, buffers[i]));
    expect_broken(va, decoder->surface);
    CHECK(vaSyncSurface(va, decoder->surface) == VA_STATUS_ERROR_DECODING_ERROR, "after: %s",
          fault_names[fault]);

    /* The next key frame is exact again. */
    decode_pcm(va, decoder->context, decoder->surface, 21 + (unsigned)fault);
    EXPECT_SUCCESS(vaSyncSurface(va, decoder->surface));
    check_pcm(va, decoder->surface, 21 + (unsigned)fault);
}

void test_broken_pictures(VADisplay va)
{
    struct decoder decoder = make_decoder(va);

    for (int fault = 0; fault < FAULTS; fault++)
        test_fault(va, &decoder, (enum fault)fault);
    destroy_decoder(va, &decoder);
}
