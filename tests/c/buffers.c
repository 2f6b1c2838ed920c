/* Contexts and buffers. */
#include "client.h"

#include <string.h>

static void test_contexts(VADisplay va)
{
    VAConfigID config = make_config(va, VAProfileH264Main);
    VASurfaceID surfaces[2] = { make_surface(va, VA_RT_FORMAT_YUV420, 64, 64), NO_SUCH_ID };
    VAContextID context = VA_INVALID_ID;

    EXPECT(VA_STATUS_ERROR_INVALID_CONFIG,
           vaCreateContext(va, NO_SUCH_ID, 64, 64, VA_PROGRESSIVE, NULL, 0, &context));
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE,
           vaCreateContext(va, config, 64, 64, VA_PROGRESSIVE, surfaces, 2, &context));
    EXPECT_EITHER(VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaCreateContext(va, config, 0, 64, VA_PROGRESSIVE, NULL, 0, &context));
    EXPECT_EITHER(VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaCreateContext(va, config, 64, -1, VA_PROGRESSIVE, NULL, 0, &context));
    EXPECT_EITHER(VA_STATUS_ERROR_RESOLUTION_NOT_SUPPORTED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaCreateContext(va, config, 1 << 20, 1 << 20, VA_PROGRESSIVE, NULL, 0, &context));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaCreateContext(va, config, 64, 64, VA_PROGRESSIVE, surfaces, -1, &context));
    if (EXPECT_SUCCESS(vaCreateContext(va, config, 64, 64, VA_PROGRESSIVE, surfaces, 1, &context))) {
        /* The config may go before the context. */
        EXPECT_SUCCESS(vaDestroyConfig(va, config));
        EXPECT_SUCCESS(vaDestroyContext(va, context));
    }
    EXPECT(VA_STATUS_ERROR_INVALID_CONTEXT, vaDestroyContext(va, context));
    EXPECT(VA_STATUS_ERROR_INVALID_CONTEXT, vaDestroyContext(va, NO_SUCH_ID));
    EXPECT_SUCCESS(vaDestroySurfaces(va, surfaces, 1));
}

static void test_mapping(VADisplay va, VABufferID buffer, const uint8_t *content, size_t size)
{
    void *memory = NULL;

    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_BUFFER, VA_STATUS_ERROR_OPERATION_FAILED,
                  vaUnmapBuffer(va, buffer));
    if (EXPECT_SUCCESS(vaMapBuffer(va, buffer, &memory))) {
        CHECK(memory && memcmp(memory, content, size) == 0, "the buffer does not hold its initial data");
        memset(memory, 0x5a, size);
        EXPECT_SUCCESS(vaUnmapBuffer(va, buffer));
    }
    EXPECT_EITHER(VA_STATUS_ERROR_INVALID_BUFFER, VA_STATUS_ERROR_OPERATION_FAILED,
                  vaUnmapBuffer(va, buffer));
    memory = NULL;
#if VA_CHECK_VERSION(1, 21, 0)
    if (EXPECT_SUCCESS(vaMapBuffer2(va, buffer, &memory, VA_MAPBUFFER_FLAG_READ))) {
#else
    if (EXPECT_SUCCESS(vaMapBuffer(va, buffer, &memory))) {
#endif
        const uint8_t *bytes = memory;
        bool kept = bytes != NULL;

        for (size_t i = 0; kept && i < size; i++)
            kept = bytes[i] == 0x5a;
        CHECK(kept, "the buffer lost what was written through its mapping");
        EXPECT_SUCCESS(vaUnmapBuffer(va, buffer));
    }
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaMapBuffer(va, NO_SUCH_ID, &memory));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaUnmapBuffer(va, NO_SUCH_ID));
#if VA_CHECK_VERSION(1, 21, 0)
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaMapBuffer2(va, NO_SUCH_ID, &memory, VA_MAPBUFFER_FLAG_WRITE));
#endif
}

static void test_buffer_info(VADisplay va, VABufferID buffer, unsigned size, unsigned elements)
{
    VABufferType type = VABufferTypeMax;
    unsigned its_size = 0, its_elements = 0;

    /* libva exports vaBufferInfo, but no header declares it. */
    EXPECT_SUCCESS(vtable_of(va)->vaBufferInfo(driver_of(va), buffer, &type, &its_size, &its_elements));
    CHECK(type == VASliceDataBufferType && its_size == size && its_elements == elements,
          "type %d, %u elements of %u bytes", type, its_elements, its_size);
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER,
           vtable_of(va)->vaBufferInfo(driver_of(va), NO_SUCH_ID, &type, &its_size, &its_elements));
}

static void test_buffers(VADisplay va, VAContextID context)
{
    static const VABufferType types[] = {
        VAPictureParameterBufferType, VAIQMatrixBufferType,    VASliceParameterBufferType,
        VASliceDataBufferType,        VAProbabilityBufferType,
    };
    uint8_t content[400];
    VABufferID buffer = VA_INVALID_ID, other;
    void *memory;

    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)(i * 7);

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (EXPECT_SUCCESS(vaCreateBuffer(va, context, types[i], 100, 4, content, &buffer)))
            EXPECT_SUCCESS(vaDestroyBuffer(va, buffer));
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE,
           vaCreateBuffer(va, context, VAEncSequenceParameterBufferType, 100, 1, NULL, &buffer));
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE,
           vaCreateBuffer(va, context, (VABufferType)1000, 100, 1, NULL, &buffer));
    EXPECT(VA_STATUS_ERROR_INVALID_CONTEXT,
           vaCreateBuffer(va, NO_SUCH_ID, VASliceDataBufferType, 100, 1, NULL, &buffer));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaCreateBuffer(va, context, VASliceDataBufferType, 0, 1, content, &buffer));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaCreateBuffer(va, context, VASliceDataBufferType, 100, 0, content, &buffer));
    EXPECT_EITHER(
        VA_STATUS_ERROR_ALLOCATION_FAILED, VA_STATUS_ERROR_INVALID_PARAMETER,
        vaCreateBuffer(va, context, VASliceDataBufferType, 0xffffffff, 0xffffffff, content, &buffer));
    EXPECT_EITHER(VA_STATUS_ERROR_ALLOCATION_FAILED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaCreateBuffer(va, context, VASliceDataBufferType, 0x80000001, 2, content, &buffer));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaCreateBuffer(va, context, VASliceDataBufferType, 100, 4, content, NULL));

    if (!EXPECT_SUCCESS(vaCreateBuffer(va, context, VASliceDataBufferType, 100, 4, content, &buffer)))
        return;
    test_mapping(va, buffer, content, sizeof content);
    test_buffer_info(va, buffer, 100, 4);
    EXPECT_SUCCESS(vaBufferSetNumElements(va, buffer, 2));
    test_buffer_info(va, buffer, 100, 2);
    EXPECT_SUCCESS(vaBufferSetNumElements(va, buffer, 4));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, vaBufferSetNumElements(va, buffer, 5));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, vaBufferSetNumElements(va, buffer, 0xffffffff));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaBufferSetNumElements(va, NO_SUCH_ID, 1));
    EXPECT_SUCCESS(vaSyncBuffer(va, buffer, 0));
    EXPECT_SUCCESS(vaSyncBuffer(va, buffer, VA_TIMEOUT_INFINITE));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaSyncBuffer(va, NO_SUCH_ID, 0));

    EXPECT_SUCCESS(vaDestroyBuffer(va, buffer));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaDestroyBuffer(va, buffer));
    /* The stale id does not reach the buffer that took its place. */
    other = make_buffer(va, context, VASliceDataBufferType, 16, content);
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaDestroyBuffer(va, buffer));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaMapBuffer(va, buffer, &memory));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaSyncBuffer(va, buffer, 0));
    EXPECT_SUCCESS(vaDestroyBuffer(va, other));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaDestroyBuffer(va, NO_SUCH_ID));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaDestroyBuffer(va, VA_INVALID_ID));
}

void test_contexts_and_buffers(VADisplay va)
{
    VAConfigID config = make_config(va, VAProfileH264Main);
    VAContextID context = make_context(va, config, 64, 64);
    VABufferID buffer;
    unsigned unit = 0, pitch = 0;

    test_contexts(va);
    test_buffers(va, context);
    EXPECT(VA_STATUS_ERROR_UNIMPLEMENTED,
           vaCreateBuffer2(va, context, VAEncMacroblockMapBufferType, 4, 4, &unit, &pitch, &buffer));

    /* A buffer may outlive its context. */
    buffer = make_buffer(va, context, VASliceDataBufferType, 64, NULL);
    EXPECT_SUCCESS(vaDestroyContext(va, context));
    EXPECT_SUCCESS(vaDestroyBuffer(va, buffer));
    EXPECT_SUCCESS(vaDestroyConfig(va, config));
}
