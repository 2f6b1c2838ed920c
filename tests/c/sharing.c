/*
 * Surface memory that others have: exported, and brought by the client. Whether it can be exported depends on
 * the machine; `SHARING=yes` in the environment says that it must be.
 */
#include "client.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <va/va_drmcommon.h>

#define PRIME_2 VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2

static uint32_t code(const char *letters)
{
    return (uint32_t)letters[0] | (uint32_t)letters[1] << 8 | (uint32_t)letters[2] << 16 |
           (uint32_t)letters[3] << 24;
}

/* Whether the surface can be exported: then the descriptor has to be closed. */
static bool export(VADisplay va, VASurfaceID surface, uint32_t flags,
                   VADRMPRIMESurfaceDescriptor *descriptor)
{
    const char *must = getenv("SHARING");
    VAStatus status;

    memset(descriptor, 0x55, sizeof *descriptor);
    status = vaExportSurfaceHandle(va, surface, PRIME_2, flags, descriptor);
    if (status == VA_STATUS_SUCCESS)
        return true;
    CHECK(!must, "nothing can be exported here: %s", vaErrorStr(status));
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE, status);
    /* mpv closes whatever it finds there, also after an error. */
    CHECK(descriptor->num_objects == 0, "%u objects in spite of an error", descriptor->num_objects);
    CHECK(descriptor->objects[0].fd <= 0, "descriptor %d", descriptor->objects[0].fd);
    return false;
}

static void check_size(const VADRMPRIMESurfaceDescriptor *descriptor, unsigned width, unsigned height)
{
    off_t end = lseek(descriptor->objects[0].fd, 0, SEEK_END);

    CHECK(descriptor->width == width && descriptor->height == height, "%ux%u", descriptor->width,
          descriptor->height);
    CHECK(descriptor->num_objects == 1, "%u objects", descriptor->num_objects);
    CHECK(end == (off_t)descriptor->objects[0].size, "%lld bytes, said to be %u", (long long)end,
          descriptor->objects[0].size);
    CHECK(descriptor->objects[0].drm_format_modifier == 0, "modifier 0x%llx",
          (unsigned long long)descriptor->objects[0].drm_format_modifier);
    CHECK(fcntl(descriptor->objects[0].fd, F_GETFD) & FD_CLOEXEC, "a descriptor that programs inherit");
}

static void test_export(VADisplay va)
{
    VASurfaceID surface = make_surface(va, VA_RT_FORMAT_YUV420, 130, 70);
    VASurfaceID deep = make_surface(va, VA_RT_FORMAT_YUV420_10, 130, 70);
    VADRMPRIMESurfaceDescriptor descriptor;

    if (export(va, surface, VA_EXPORT_SURFACE_READ_ONLY | VA_EXPORT_SURFACE_SEPARATE_LAYERS, &descriptor)) {
        check_size(&descriptor, 130, 70);
        CHECK(descriptor.fourcc == VA_FOURCC_NV12, "fourcc 0x%x", descriptor.fourcc);
        CHECK(descriptor.num_layers == 2, "%u layers", descriptor.num_layers);
        CHECK(descriptor.layers[0].drm_format == code("R8  ") && descriptor.layers[0].num_planes == 1,
              "format 0x%x", descriptor.layers[0].drm_format);
        CHECK(descriptor.layers[1].drm_format == code("GR88") && descriptor.layers[1].num_planes == 1,
              "format 0x%x", descriptor.layers[1].drm_format);
        CHECK(descriptor.layers[0].pitch[0] >= 130 && descriptor.layers[0].pitch[0] % 64 == 0, "pitch %u",
              descriptor.layers[0].pitch[0]);
        close(descriptor.objects[0].fd);
    }
    if (export(va, deep, VA_EXPORT_SURFACE_READ_WRITE | VA_EXPORT_SURFACE_COMPOSED_LAYERS, &descriptor)) {
        check_size(&descriptor, 130, 70);
        CHECK(descriptor.num_layers == 1 && descriptor.layers[0].num_planes == 2, "%u layers, %u planes",
              descriptor.num_layers, descriptor.layers[0].num_planes);
        CHECK(descriptor.layers[0].drm_format == code("P010"), "format 0x%x",
              descriptor.layers[0].drm_format);
        close(descriptor.objects[0].fd);
    }
    memset(&descriptor, 0x55, sizeof descriptor);
    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE,
           vaExportSurfaceHandle(va, NO_SUCH_ID, PRIME_2,
                                 VA_EXPORT_SURFACE_READ_ONLY | VA_EXPORT_SURFACE_COMPOSED_LAYERS,
                                 &descriptor));
    CHECK(descriptor.num_objects == 0, "%u objects in spite of an error", descriptor.num_objects);
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE,
           vaExportSurfaceHandle(va, surface, 0, VA_EXPORT_SURFACE_READ_ONLY, &descriptor));
    EXPECT(VA_STATUS_ERROR_FLAG_NOT_SUPPORTED,
           vaExportSurfaceHandle(va, surface, PRIME_2, 0x100, &descriptor));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaExportSurfaceHandle(va, surface, PRIME_2,
                                 VA_EXPORT_SURFACE_SEPARATE_LAYERS | VA_EXPORT_SURFACE_COMPOSED_LAYERS,
                                 &descriptor));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaExportSurfaceHandle(va, surface, PRIME_2, VA_EXPORT_SURFACE_READ_ONLY, NULL));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &deep, 1));
}

static void test_handles(VADisplay va)
{
    VASurfaceID surface = make_surface(va, VA_RT_FORMAT_YUV420, 64, 64);
    VAImage image;
    VABufferInfo info, again;
    VAStatus status;

    memset(&info, 0, sizeof info);
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaAcquireBufferHandle(va, NO_SUCH_ID, &info));
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaReleaseBufferHandle(va, NO_SUCH_ID));
    if (EXPECT_SUCCESS(vaDeriveImage(va, surface, &image))) {
        EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaReleaseBufferHandle(va, image.buf));
        info.mem_type = VA_SURFACE_ATTRIB_MEM_TYPE_KERNEL_DRM;
        EXPECT(VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE, vaAcquireBufferHandle(va, image.buf, &info));
        info.mem_type = VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME;
        status = vaAcquireBufferHandle(va, image.buf, &info);
        if (status == VA_STATUS_SUCCESS) {
            again.mem_type = 0;
            EXPECT_SUCCESS(vaAcquireBufferHandle(va, image.buf, &again));
            CHECK(again.handle == info.handle, "handles %lu and %lu", (unsigned long)info.handle,
                  (unsigned long)again.handle);
            CHECK(lseek((int)info.handle, 0, SEEK_END) == (off_t)info.mem_size, "%zu bytes",
                  info.mem_size);
            EXPECT_SUCCESS(vaReleaseBufferHandle(va, image.buf));
            CHECK(fcntl((int)info.handle, F_GETFD) >= 0, "closed while it is acquired");
            EXPECT_SUCCESS(vaReleaseBufferHandle(va, image.buf));
            CHECK(fcntl((int)info.handle, F_GETFD) < 0, "open though it is released");
            EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, vaReleaseBufferHandle(va, image.buf));
        } else {
            CHECK(!getenv("SHARING"), "no handle can be acquired here: %s", vaErrorStr(status));
            EXPECT(VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE, status);
        }
        EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
    }
    /* Images of their own have ordinary memory. */
    image = make_image(va, VA_FOURCC_NV12, 64, 64);
    info.mem_type = VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME;
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE, vaAcquireBufferHandle(va, image.buf, &info));
    EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
    EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
}

/* Memory as a client would bring it: a pitch that is nobody's choice, and no room for whole macroblocks. */
#define PITCH	     80
#define CHROMA	     (PITCH * PCM_HEIGHT + 48)
#define FOREIGN_SIZE (CHROMA + PITCH * PCM_HEIGHT / 2)

static VADRMPRIMESurfaceDescriptor foreign(int fd)
{
    VADRMPRIMESurfaceDescriptor descriptor;

    memset(&descriptor, 0, sizeof descriptor);
    descriptor.fourcc = VA_FOURCC_NV12;
    descriptor.width = PCM_WIDTH;
    descriptor.height = PCM_HEIGHT;
    descriptor.num_objects = 1;
    descriptor.objects[0].fd = fd;
    descriptor.objects[0].size = FOREIGN_SIZE;
    descriptor.num_layers = 1;
    descriptor.layers[0].drm_format = code("NV12");
    descriptor.layers[0].num_planes = 2;
    descriptor.layers[0].offset[1] = CHROMA;
    descriptor.layers[0].pitch[0] = descriptor.layers[0].pitch[1] = PITCH;
    return descriptor;
}

static VAStatus bring(VADisplay va, uint32_t mem_type, void *descriptor, VASurfaceID *surface)
{
    VASurfaceAttrib attributes[2];

    memset(attributes, 0, sizeof attributes);
    attributes[0].type = VASurfaceAttribMemoryType;
    attributes[0].flags = VA_SURFACE_ATTRIB_SETTABLE;
    attributes[0].value.type = VAGenericValueTypeInteger;
    attributes[0].value.value.i = (int32_t)mem_type;
    attributes[1].type = VASurfaceAttribExternalBufferDescriptor;
    attributes[1].flags = VA_SURFACE_ATTRIB_SETTABLE;
    attributes[1].value.type = VAGenericValueTypePointer;
    attributes[1].value.value.p = descriptor;
    return vaCreateSurfaces(va, VA_RT_FORMAT_YUV420, PCM_WIDTH, PCM_HEIGHT, surface, 1, attributes, 2);
}

static void check_memory(const uint8_t *memory, unsigned seed)
{
    int wrong = 0;

    for (int y = 0; y < PCM_HEIGHT; y++)
        for (int x = 0; x < PCM_WIDTH; x++)
            wrong += memory[y * PITCH + x] != pcm_sample(seed, 0, x, y);
    for (int y = 0; y < PCM_HEIGHT / 2; y++)
        for (int x = 0; x < PCM_WIDTH / 2; x++)
            for (int component = 1; component < 3; component++)
                wrong += memory[CHROMA + y * PITCH + 2 * x + component - 1] !=
                         pcm_sample(seed, component, x, y);
    CHECK(wrong == 0, "%d samples differ", wrong);
    /* Between the rows and the planes nothing has been written. */
    for (int at = PCM_WIDTH; at < FOREIGN_SIZE; at++)
        if (at % PITCH == PCM_WIDTH && at < CHROMA)
            wrong += memory[at] != 0xee;
    CHECK(wrong == 0, "%d bytes beside the rows were written", wrong);
}

static void test_refused(VADisplay va, int fd)
{
    VASurfaceID surface = VA_INVALID_SURFACE;
    VADRMPRIMESurfaceDescriptor descriptor = foreign(-1);

    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, bring(va, PRIME_2, &descriptor, &surface));
    EXPECT_EITHER(VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE, VA_STATUS_ERROR_INVALID_PARAMETER,
                  bring(va, PRIME_2, NULL, &surface));
    EXPECT(VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE,
           bring(va, VA_SURFACE_ATTRIB_MEM_TYPE_USER_PTR, &descriptor, &surface));
    descriptor = foreign(9999);
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, bring(va, PRIME_2, &descriptor, &surface));
    descriptor = foreign(fd);
    descriptor.fourcc = VA_FOURCC_P010;
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, bring(va, PRIME_2, &descriptor, &surface));
    descriptor = foreign(fd);
    descriptor.num_objects = 2;
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, bring(va, PRIME_2, &descriptor, &surface));
    descriptor = foreign(fd);
    descriptor.objects[0].drm_format_modifier = 0x0100000000000001;
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, bring(va, PRIME_2, &descriptor, &surface));
    descriptor = foreign(fd);
    descriptor.layers[0].object_index[1] = 1;
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, bring(va, PRIME_2, &descriptor, &surface));
    descriptor = foreign(fd);
    descriptor.num_layers = 0xffffffff;
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, bring(va, PRIME_2, &descriptor, &surface));
    descriptor = foreign(fd);
    descriptor.width = PCM_WIDTH - 1;
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, bring(va, PRIME_2, &descriptor, &surface));
    /* Planes that the memory has no room for. */
    descriptor = foreign(fd);
    descriptor.layers[0].offset[1] = CHROMA + 8 * 4096;
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, bring(va, PRIME_2, &descriptor, &surface));
    descriptor = foreign(fd);
    descriptor.layers[0].pitch[0] = 0xffffffff;
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, bring(va, PRIME_2, &descriptor, &surface));
    descriptor = foreign(fd);
    descriptor.layers[0].pitch[0] = PCM_WIDTH - 1;
    EXPECT(VA_STATUS_ERROR_INVALID_BUFFER, bring(va, PRIME_2, &descriptor, &surface));
}

static void test_import(VADisplay va)
{
    VAConfigID config = make_config(va, VAProfileH264Main);
    VAContextID context = make_context(va, config, PCM_WIDTH, PCM_HEIGHT);
    VADRMPRIMESurfaceDescriptor descriptor;
    VASurfaceAttribExternalBuffers old;
    VASurfaceID surface = VA_INVALID_SURFACE;
    int fd = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    uintptr_t handle = (uintptr_t)fd;
    uint8_t *memory;

    if (!CHECK(fd >= 0 && ftruncate(fd, FOREIGN_SIZE) == 0, "no memory"))
        return;
    memory = mmap(NULL, FOREIGN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!CHECK(memory != MAP_FAILED, "no memory"))
        return;
    /* Somebody could take it away from under the decoder. */
    descriptor = foreign(fd);
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER, bring(va, PRIME_2, &descriptor, &surface));
    if (!CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "no seals"))
        return;
    test_refused(va, fd);

    descriptor = foreign(fd);
    memset(memory, 0xee, FOREIGN_SIZE);
    if (EXPECT_SUCCESS(bring(va, PRIME_2, &descriptor, &surface))) {
        CHECK(fcntl(fd, F_GETFD) >= 0, "the client's descriptor was closed");
        decode_pcm(va, context, surface, 9);
        EXPECT_SUCCESS(vaSyncSurface(va, surface));
        check_memory(memory, 9);
        check_pcm(va, surface, 9);
        /* It can be handed on, and is the same. */
        if (CHECK(vaExportSurfaceHandle(va, surface, PRIME_2,
                                        VA_EXPORT_SURFACE_READ_ONLY | VA_EXPORT_SURFACE_COMPOSED_LAYERS,
                                        &descriptor) == VA_STATUS_SUCCESS,
                  "it cannot be exported")) {
            CHECK(descriptor.layers[0].offset[1] == CHROMA && descriptor.layers[0].pitch[1] == PITCH,
                  "chroma at %u, pitch %u", descriptor.layers[0].offset[1], descriptor.layers[0].pitch[1]);
            close(descriptor.objects[0].fd);
        }
        EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
    }

    /* Two layers. */
    descriptor = foreign(fd);
    descriptor.num_layers = 2;
    descriptor.layers[0].drm_format = code("R8  ");
    descriptor.layers[1].drm_format = code("GR88");
    descriptor.layers[0].num_planes = descriptor.layers[1].num_planes = 1;
    descriptor.layers[1].offset[0] = CHROMA;
    descriptor.layers[1].pitch[0] = PITCH;
    descriptor.objects[0].drm_format_modifier = 0x00ffffffffffffff;
    memset(memory, 0xee, FOREIGN_SIZE);
    if (EXPECT_SUCCESS(bring(va, PRIME_2, &descriptor, &surface))) {
        decode_pcm(va, context, surface, 10);
        EXPECT_SUCCESS(vaSyncSurface(va, surface));
        check_memory(memory, 10);
        EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
    }

    /* The old way. */
    memset(&old, 0, sizeof old);
    old.pixel_format = VA_FOURCC_NV12;
    old.width = PCM_WIDTH;
    old.height = PCM_HEIGHT;
    old.data_size = FOREIGN_SIZE;
    old.num_planes = 2;
    old.pitches[0] = old.pitches[1] = PITCH;
    old.offsets[1] = CHROMA;
    old.buffers = &handle;
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           bring(va, VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME, &old, &surface));
    old.num_buffers = 1;
    memset(memory, 0xee, FOREIGN_SIZE);
    if (EXPECT_SUCCESS(bring(va, VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME, &old, &surface))) {
        decode_pcm(va, context, surface, 11);
        EXPECT_SUCCESS(vaSyncSurface(va, surface));
        check_memory(memory, 11);
        EXPECT_SUCCESS(vaDestroySurfaces(va, &surface, 1));
    }

    munmap(memory, FOREIGN_SIZE);
    close(fd);
    EXPECT_SUCCESS(vaDestroyContext(va, context));
    EXPECT_SUCCESS(vaDestroyConfig(va, config));
}

void test_sharing(VADisplay va)
{
    test_export(va);
    test_handles(va);
    test_import(va);
}
