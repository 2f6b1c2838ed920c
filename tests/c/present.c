/* vaPutSurface: pixels that arrive in windows and pixmaps. */
#include "client.h"

#include <stdlib.h>
#include <string.h>

#include <X11/Xutil.h>

struct rgb {
    int red, green, blue;
};

static const struct rgb black = { 0, 0, 0 }, white = { 255, 255, 255 }, red = { 255, 0, 0 },
                        green = { 0, 255, 0 }, blue = { 0, 0, 255 };

static bool near(struct rgb a, struct rgb b)
{
    return abs(a.red - b.red) <= 3 && abs(a.green - b.green) <= 3 && abs(a.blue - b.blue) <= 3;
}

/* Checks all pixels of a rectangle of a drawable. */
static void check_area(const char *what, Display *x11, Drawable drawable, int x, int y, unsigned width,
                       unsigned height, struct rgb expected)
{
    XImage *image = XGetImage(x11, drawable, x, y, width, height, AllPlanes, ZPixmap);
    int wrong = 0;
    struct rgb first = { 0, 0, 0 };

    if (!CHECK(image != NULL, "%s: XGetImage", what))
        return;
    for (unsigned row = 0; row < height; row++)
        for (unsigned column = 0; column < width; column++) {
            unsigned long pixel = XGetPixel(image, (int)column, (int)row);
            struct rgb got = { (int)(pixel >> 16 & 0xff), (int)(pixel >> 8 & 0xff), (int)(pixel & 0xff) };

            if (!near(got, expected) && wrong++ == 0)
                first = got;
        }
    CHECK(wrong == 0, "%s: %d of %u pixels at %d, %d are not %d/%d/%d but %d/%d/%d", what, wrong,
          width * height, x, y, expected.red, expected.green, expected.blue, first.red, first.green,
          first.blue);
    XDestroyImage(image);
}

/* Makes rows first, first + step ... of a part of a surface one colour. */
static void paint(VADisplay va, VASurfaceID surface, int x, int width, int first, int step, unsigned luma,
                  unsigned cb, unsigned cr)
{
    unsigned values[3] = { luma, cb, cr };
    VAImage image;
    void *memory = NULL;

    if (!EXPECT_SUCCESS(vaDeriveImage(va, surface, &image)))
        return;
    if (EXPECT_SUCCESS(vaMapBuffer(va, image.buf, &memory))) {
        unsigned scale = image.format.fourcc == VA_FOURCC_P010 ? 4 << 6 : 1;

        for (int component = 0; component < 3; component++) {
            int half = component == 0 ? 1 : 2;

            for (int row = first; row < samples_across(component, image.height); row += step)
                for (int column = x / half; column < samples_across(component, x + width); column++)
                    set_sample(&image, memory, component, column, row, values[component] * scale);
        }
        EXPECT_SUCCESS(vaUnmapBuffer(va, image.buf));
    }
    EXPECT_SUCCESS(vaDestroyImage(va, image.image_id));
}

static void paint_all(VADisplay va, VASurfaceID surface, unsigned luma, unsigned cb, unsigned cr)
{
    paint(va, surface, 0, 64, 0, 1, luma, cb, cr);
}

static Window make_window(Display *x11, unsigned width, unsigned height)
{
    XSetWindowAttributes attributes;
    Window window;

    memset(&attributes, 0, sizeof attributes);
    attributes.override_redirect = True;
    attributes.background_pixel = 0x00ff00;
    window = XCreateWindow(x11, DefaultRootWindow(x11), 0, 0, width, height, 0, CopyFromParent, InputOutput,
                           CopyFromParent, CWOverrideRedirect | CWBackPixel, &attributes);
    XMapRaised(x11, window);
    /* No XSync here: the driver has to see to it that the window exists. */
    return window;
}

static void test_colours(struct client *client, VASurfaceID surface, Window window)
{
    static const struct {
        const char *name;
        unsigned flags;
        unsigned char samples[3][3];
    } standards[] = {
        { "BT.601 by default", 0, { { 81, 90, 240 }, { 145, 54, 34 }, { 41, 240, 110 } } },
        { "BT.601", VA_SRC_BT601, { { 81, 90, 240 }, { 145, 54, 34 }, { 41, 240, 110 } } },
        { "BT.709", VA_SRC_BT709, { { 63, 102, 240 }, { 173, 42, 26 }, { 32, 240, 118 } } },
    };
    const struct rgb primaries[3] = { red, green, blue };

    for (size_t i = 0; i < sizeof standards / sizeof standards[0]; i++)
        for (int primary = 0; primary < 3; primary++) {
            const unsigned char *samples = standards[i].samples[primary];

            paint_all(client->va, surface, samples[0], samples[1], samples[2]);
            EXPECT_SUCCESS(vaPutSurface(client->va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0,
                                        standards[i].flags));
            check_area(standards[i].name, client->x11, window, 0, 0, 64, 48, primaries[primary]);
        }
    paint_all(client->va, surface, 16, 128, 128);
    EXPECT_SUCCESS(vaPutSurface(client->va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0,
                                VA_FRAME_PICTURE | VA_SRC_BT709));
    check_area("black", client->x11, window, 0, 0, 64, 48, black);
    paint_all(client->va, surface, 235, 128, 128);
    EXPECT_SUCCESS(vaPutSurface(client->va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0));
    check_area("white", client->x11, window, 0, 0, 64, 48, white);
}

static void clear(Display *x11, Drawable drawable, unsigned width, unsigned height)
{
    GC gc = XCreateGC(x11, drawable, 0, NULL);

    XSetForeground(x11, gc, 0x00ff00);
    XFillRectangle(x11, drawable, gc, 0, 0, width, height);
    XFreeGC(x11, gc);
}

static void test_geometry(struct client *client, VASurfaceID surface, Window window)
{
    static const unsigned filters[] = { VA_FILTER_SCALING_DEFAULT, VA_FILTER_SCALING_FAST,
                                        VA_FILTER_SCALING_HQ };
    VARectangle clips[2] = { { 10, 10, 20, 5 }, { 100, 80, 60, 40 } };
    VADisplay va = client->va;
    Display *x11 = client->x11;

    /* Left half white, right half red; scaled up into a part of the window. */
    paint(va, surface, 0, 32, 0, 1, 235, 128, 128);
    paint(va, surface, 32, 32, 0, 1, 81, 90, 240);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        clear(x11, window, 160, 120);
        EXPECT_SUCCESS(
            vaPutSurface(va, surface, window, 0, 0, 64, 48, 20, 10, 128, 96, NULL, 0, filters[i]));
        check_area("above", x11, window, 0, 0, 160, 10, green);
        check_area("left of", x11, window, 0, 0, 20, 120, green);
        check_area("left half", x11, window, 20, 10, 60, 96, white);
        check_area("right half", x11, window, 88, 10, 60, 96, red);
        check_area("right of", x11, window, 148, 0, 12, 120, green);
        check_area("below", x11, window, 0, 106, 160, 14, green);
    }

    /* A part, scaled down, with an odd origin. */
    clear(x11, window, 160, 120);
    EXPECT_SUCCESS(vaPutSurface(va, surface, window, 37, 3, 25, 41, 5, 7, 11, 13, NULL, 0, 0));
    check_area("the part", x11, window, 5, 7, 11, 13, red);
    check_area("beside the part", x11, window, 16, 0, 144, 120, green);

    /* Beyond all edges of the window. */
    EXPECT_SUCCESS(vaPutSurface(va, surface, window, 0, 0, 64, 48, -1000, -1000, 3000, 3000, NULL, 0, 0));
    check_area("the middle, enlarged", x11, window, 0, 0, 160, 120, white);
    EXPECT_SUCCESS(vaPutSurface(va, surface, window, 32, 0, 32, 48, -30000, -30000, 65535, 65535, NULL, 0,
                                VA_FILTER_SCALING_FAST));
    check_area("much enlarged", x11, window, 0, 0, 160, 120, red);
    clear(x11, window, 160, 120);
    EXPECT_SUCCESS(vaPutSurface(va, surface, window, 0, 0, 64, 48, 200, 200, 64, 48, NULL, 0, 0));
    EXPECT_SUCCESS(vaPutSurface(va, surface, window, 0, 0, 64, 48, 0, 0, 0, 48, NULL, 0, 0));
    check_area("nothing visible", x11, window, 0, 0, 160, 120, green);

    /* Clips. */
    EXPECT_SUCCESS(vaPutSurface(va, surface, window, 32, 0, 32, 48, 0, 0, 160, 120, clips, 2, 0));
    check_area("first clip", x11, window, 10, 10, 20, 5, red);
    check_area("second clip", x11, window, 100, 80, 60, 40, red);
    check_area("between clips", x11, window, 30, 10, 70, 70, green);
    check_area("above the clips", x11, window, 0, 0, 160, 10, green);

    /* The drawable cleared around the picture. */
    EXPECT_SUCCESS(
        vaPutSurface(va, surface, window, 32, 0, 32, 48, 50, 40, 30, 20, NULL, 0, VA_CLEAR_DRAWABLE));
    check_area("the picture", x11, window, 50, 40, 30, 20, red);
    check_area("cleared above", x11, window, 0, 0, 160, 40, black);
    check_area("cleared left", x11, window, 0, 40, 50, 20, black);
    check_area("cleared right", x11, window, 80, 40, 80, 20, black);
    check_area("cleared below", x11, window, 0, 60, 160, 60, black);
}

static void test_fields(struct client *client, VASurfaceID surface, Window window)
{
    paint(client->va, surface, 0, 64, 0, 2, 235, 128, 128);
    paint(client->va, surface, 0, 64, 1, 2, 41, 240, 110);
    EXPECT_SUCCESS(vaPutSurface(client->va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0,
                                VA_TOP_FIELD));
    check_area("top field", client->x11, window, 0, 0, 64, 48, white);
    EXPECT_SUCCESS(vaPutSurface(client->va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0,
                                VA_BOTTOM_FIELD));
    check_area("bottom field", client->x11, window, 0, 0, 64, 48, blue);
}

static void test_refusals(struct client *client, VASurfaceID surface, Window window)
{
    VADisplay va = client->va;
    Pixmap bitmap = XCreatePixmap(client->x11, window, 64, 64, 1);
    Window gone = make_window(client->x11, 64, 64), input_only;
    VASurfaceID no_surface = NO_SUCH_ID;

    EXPECT(VA_STATUS_ERROR_INVALID_SURFACE,
           vaPutSurface(va, no_surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0));
    /* Drawables that are none; the program lives on, without X errors. */
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutSurface(va, surface, 0, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutSurface(va, surface, 0x1fffffff, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0));
    XDestroyWindow(client->x11, gone);
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutSurface(va, surface, gone, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0));
    /* Drawables without colours. */
    EXPECT_EITHER(VA_STATUS_ERROR_OPERATION_FAILED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaPutSurface(va, surface, bitmap, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0));
    input_only = XCreateWindow(client->x11, DefaultRootWindow(client->x11), 0, 0, 64, 64, 0, 0, InputOnly,
                               CopyFromParent, 0, NULL);
    EXPECT_EITHER(VA_STATUS_ERROR_OPERATION_FAILED, VA_STATUS_ERROR_INVALID_PARAMETER,
                  vaPutSurface(va, surface, input_only, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0));
    /* Rectangles that do not lie in the picture. */
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutSurface(va, surface, window, 1, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutSurface(va, surface, window, -1, 0, 8, 8, 0, 0, 64, 48, NULL, 0, 0));
    EXPECT(VA_STATUS_ERROR_INVALID_PARAMETER,
           vaPutSurface(va, surface, window, 0, 0, 0, 48, 0, 0, 64, 48, NULL, 0, 0));
    /* Flags that are not honoured. */
    EXPECT(VA_STATUS_ERROR_FLAG_NOT_SUPPORTED,
           vaPutSurface(va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, VA_ENABLE_BLEND));
    EXPECT(VA_STATUS_ERROR_FLAG_NOT_SUPPORTED,
           vaPutSurface(va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0,
                        VA_FILTER_SCALING_NL_ANAMORPHIC));
    EXPECT(VA_STATUS_ERROR_FLAG_NOT_SUPPORTED,
           vaPutSurface(va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, VA_SRC_SMPTE_240));
    EXPECT(VA_STATUS_ERROR_FLAG_NOT_SUPPORTED,
           vaPutSurface(va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0,
                        VA_SRC_BT601 | VA_SRC_BT709));
    EXPECT(VA_STATUS_ERROR_FLAG_NOT_SUPPORTED,
           vaPutSurface(va, surface, window, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0x40000000));
    XDestroyWindow(client->x11, input_only);
    XFreePixmap(client->x11, bitmap);
}

void test_put_surface(struct client *client)
{
    VASurfaceID surface = make_surface(client->va, VA_RT_FORMAT_YUV420, 64, 48);
    VASurfaceID deep = make_surface(client->va, VA_RT_FORMAT_YUV420_10, 64, 48);
    Window window = make_window(client->x11, 160, 120);
    Pixmap pixmap;
    Window large;

    test_colours(client, surface, window);
    test_colours(client, deep, window);
    test_geometry(client, surface, window);
    test_fields(client, surface, window);
    test_refusals(client, surface, window);

    /* Still fine after all that: a pixmap, and a window too large for one request. */
    paint_all(client->va, surface, 41, 240, 110);
    pixmap = XCreatePixmap(client->x11, window, 64, 48, (unsigned)DefaultDepth(client->x11, DefaultScreen(client->x11)));
    EXPECT_SUCCESS(vaPutSurface(client->va, surface, pixmap, 0, 0, 64, 48, 0, 0, 64, 48, NULL, 0, 0));
    check_area("a pixmap", client->x11, pixmap, 0, 0, 64, 48, blue);
    XFreePixmap(client->x11, pixmap);
    pixmap = XCreatePixmap(client->x11, window, 3000, 2100, (unsigned)DefaultDepth(client->x11, DefaultScreen(client->x11)));
    EXPECT_SUCCESS(vaPutSurface(client->va, surface, pixmap, 0, 0, 64, 48, 0, 0, 3000, 2100, NULL, 0, 0));
    check_area("a large pixmap", client->x11, pixmap, 0, 0, 3000, 2100, blue);
    XFreePixmap(client->x11, pixmap);

    large = make_window(client->x11, 64, 48);
    XResizeWindow(client->x11, large, 100, 90);
    EXPECT_SUCCESS(vaPutSurface(client->va, surface, large, 0, 0, 64, 48, 0, 0, 100, 90, NULL, 0, 0));
    check_area("a window resized just now", client->x11, large, 0, 0, 100, 90, blue);
    XDestroyWindow(client->x11, large);

    XDestroyWindow(client->x11, window);
    EXPECT_SUCCESS(vaDestroySurfaces(client->va, &surface, 1));
    EXPECT_SUCCESS(vaDestroySurfaces(client->va, &deep, 1));
}
