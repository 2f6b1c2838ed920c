/* An H.264 picture of I_PCM macroblocks, written bit by bit (ITU-T H.264, 7.3.3 and 7.3.4). */
#include "client.h"

#include <string.h>

#define MBS_WIDE (PCM_WIDTH / 16)
#define MBS_HIGH (PCM_HEIGHT / 16)

unsigned pcm_sample(unsigned seed, int component, int x, int y)
{
    static const unsigned factors[3][2] = { { 3, 7 }, { 5, 11 }, { 13, 2 } };
    unsigned value = seed + 50 * (unsigned)component;

    value += factors[component][0] * (unsigned)x + factors[component][1] * (unsigned)y;
    return 1 + value % 254;
}

struct bits {
    uint8_t bytes[4096];
    unsigned count;
};

static void put_bit(struct bits *bits, unsigned bit)
{
    if (bit)
        bits->bytes[bits->count / 8] |= (uint8_t)(0x80 >> bits->count % 8);
    bits->count++;
}

/* u(n) */
static void put(struct bits *bits, unsigned width, unsigned value)
{
    while (width-- > 0)
        put_bit(bits, value >> width & 1);
}

/* ue(v) */
static void put_ue(struct bits *bits, unsigned value)
{
    unsigned width = 0;

    while ((value + 1) >> (width + 1))
        width++;
    put(bits, width, 0);
    put(bits, width + 1, value + 1);
}

void pcm_slice(struct pcm_slice *slice, unsigned seed)
{
    struct bits bits;
    unsigned zeros = 0;

    memset(&bits, 0, sizeof bits);
    /* slice_header() */
    put_ue(&bits, 0); /* first_mb_in_slice */
    put_ue(&bits, 7); /* slice_type: I, and so are all others of the picture */
    put_ue(&bits, 0); /* pic_parameter_set_id */
    put(&bits, 4, 0); /* frame_num */
    put_ue(&bits, seed % 2); /* idr_pic_id */
    put(&bits, 4, 0); /* pic_order_cnt_lsb */
    put(&bits, 1, 0); /* no_output_of_prior_pics_flag */
    put(&bits, 1, 0); /* long_term_reference_flag */
    put_ue(&bits, 0); /* slice_qp_delta, se(v): 0 */
    put_ue(&bits, 1); /* disable_deblocking_filter_idc */
    slice->header_bits = 8 + bits.count;
    /* slice_data() */
    for (int mb = 0; mb < MBS_WIDE * MBS_HIGH; mb++) {
        put_ue(&bits, 25); /* mb_type: I_PCM */
        while (bits.count % 8)
            put(&bits, 1, 0); /* pcm_alignment_zero_bit */
        for (int component = 0; component < 3; component++) {
            int size = component == 0 ? 16 : 8;
            for (int y = 0; y < size; y++)
                for (int x = 0; x < size; x++)
                    put(&bits, 8,
                        pcm_sample(seed, component, mb % MBS_WIDE * size + x, mb / MBS_WIDE * size + y));
        }
    }
    /* rbsp_slice_trailing_bits() */
    put(&bits, 1, 1);
    while (bits.count % 8)
        put(&bits, 1, 0);

    /* nal_unit(): nal_ref_idc 3, nal_unit_type 5, then the payload with emulation prevention. */
    slice->size = 0;
    slice->bytes[slice->size++] = 0x65;
    for (unsigned i = 0; i < bits.count / 8; i++) {
        if (zeros >= 2 && bits.bytes[i] <= 3) {
            slice->bytes[slice->size++] = 3;
            zeros = 0;
        }
        zeros = bits.bytes[i] == 0 ? zeros + 1 : 0;
        slice->bytes[slice->size++] = bits.bytes[i];
    }
}

static VAPictureH264 no_picture(void)
{
    VAPictureH264 picture;

    memset(&picture, 0, sizeof picture);
    picture.picture_id = VA_INVALID_SURFACE;
    picture.flags = VA_PICTURE_H264_INVALID;
    return picture;
}

VAPictureParameterBufferH264 pcm_picture_parameters(VASurfaceID target)
{
    VAPictureParameterBufferH264 picture;

    memset(&picture, 0, sizeof picture);
    picture.CurrPic.picture_id = target;
    picture.CurrPic.flags = VA_PICTURE_H264_SHORT_TERM_REFERENCE;
    for (int i = 0; i < 16; i++)
        picture.ReferenceFrames[i] = no_picture();
    picture.picture_width_in_mbs_minus1 = MBS_WIDE - 1;
    picture.picture_height_in_mbs_minus1 = MBS_HIGH - 1;
    picture.num_ref_frames = 1;
    picture.seq_fields.bits.chroma_format_idc = 1;
    picture.seq_fields.bits.frame_mbs_only_flag = 1;
    picture.seq_fields.bits.direct_8x8_inference_flag = 1;
    picture.pic_fields.bits.deblocking_filter_control_present_flag = 1;
    picture.pic_fields.bits.reference_pic_flag = 1;
    return picture;
}

VAIQMatrixBufferH264 flat_matrices(void)
{
    VAIQMatrixBufferH264 matrices;

    memset(&matrices, 0, sizeof matrices);
    memset(matrices.ScalingList4x4, 16, sizeof matrices.ScalingList4x4);
    memset(matrices.ScalingList8x8, 16, sizeof matrices.ScalingList8x8);
    return matrices;
}

VASliceParameterBufferH264 pcm_slice_parameters(const struct pcm_slice *slice)
{
    VASliceParameterBufferH264 parameters;

    memset(&parameters, 0, sizeof parameters);
    parameters.slice_data_size = (uint32_t)slice->size;
    parameters.slice_data_flag = VA_SLICE_DATA_FLAG_ALL;
    parameters.slice_data_bit_offset = (uint16_t)slice->header_bits;
    parameters.slice_type = 2;
    parameters.disable_deblocking_filter_idc = 1;
    for (int i = 0; i < 32; i++) {
        parameters.RefPicList0[i] = no_picture();
        parameters.RefPicList1[i] = no_picture();
    }
    return parameters;
}

void decode_pcm(VADisplay va, VAContextID context, VASurfaceID target, unsigned seed)
{
    struct pcm_slice slice;
    VAPictureParameterBufferH264 picture = pcm_picture_parameters(target);
    VAIQMatrixBufferH264 matrices = flat_matrices();
    VASliceParameterBufferH264 parameters;
    VABufferID buffers[4];

    pcm_slice(&slice, seed);
    parameters = pcm_slice_parameters(&slice);
    buffers[0] = make_buffer(va, context, VAPictureParameterBufferType, sizeof picture, &picture);
    buffers[1] = make_buffer(va, context, VAIQMatrixBufferType, sizeof matrices, &matrices);
    buffers[2] = make_buffer(va, context, VASliceParameterBufferType, sizeof parameters, &parameters);
    buffers[3] = make_buffer(va, context, VASliceDataBufferType, slice.size, slice.bytes);
    EXPECT_SUCCESS(vaBeginPicture(va, context, target));
    EXPECT_SUCCESS(vaRenderPicture(va, context, buffers, 2));
    EXPECT_SUCCESS(vaRenderPicture(va, context, buffers + 2, 2));
    EXPECT_SUCCESS(vaEndPicture(va, context));
    for (int i = 0; i < 4; i++)
        EXPECT_SUCCESS(vaDestroyBuffer(va, buffers[i]));
}

static void check_pcm_image(VADisplay va, const VAImage *image, unsigned seed, const char *how)
{
    void *memory = NULL;

    if (!EXPECT_SUCCESS(vaMapBuffer(va, image->buf, &memory)))
        return;
    for (int component = 0; component < 3; component++) {
        int width = samples_across(component, PCM_WIDTH), height = samples_across(component, PCM_HEIGHT);
        int wrong = 0, first_x = 0, first_y = 0;

        for (int y = height - 1; y >= 0; y--)
            for (int x = width - 1; x >= 0; x--)
                if (sample(image, memory, component, x, y) != pcm_sample(seed, component, x, y)) {
                    wrong++;
                    first_x = x;
                    first_y = y;
                }
        CHECK(wrong == 0, "%s, seed %u, component %d: %d of %d samples differ, first at %d, %d: %u for %u",
              how, seed, component, wrong, width * height, first_x, first_y,
              sample(image, memory, component, first_x, first_y),
              pcm_sample(seed, component, first_x, first_y));
    }
    EXPECT_SUCCESS(vaUnmapBuffer(va, image->buf));
}

void check_pcm_download(VADisplay va, VASurfaceID surface, unsigned seed, uint32_t fourcc)
{
    VAImage image = make_image(va, fourcc, PCM_WIDTH, PCM_HEIGHT);

    if (image.image_id != VA_INVALID_ID) {
        EXPECT_SUCCESS(vaGetImage(va, surface, 0, 0, PCM_WIDTH, PCM_HEIGHT, image.image_id));
        check_pcm_image(va, &image, seed, "a download");
        EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
    }
}

void check_pcm(VADisplay va, VASurfaceID surface, unsigned seed)
{
    VAImage image;

    if (EXPECT_SUCCESS(vaDeriveImage(va, surface, &image))) {
        check_pcm_image(va, &image, seed, "vaDeriveImage");
        EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
    }
    image = make_image(va, VA_FOURCC_I420, PCM_WIDTH, PCM_HEIGHT);
    if (image.image_id != VA_INVALID_ID) {
        EXPECT_SUCCESS(vaGetImage(va, surface, 0, 0, PCM_WIDTH, PCM_HEIGHT, image.image_id));
        check_pcm_image(va, &image, seed, "vaGetImage");
        EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
    }
}
