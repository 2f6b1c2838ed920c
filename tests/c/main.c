/*
 * Drives every entry point of the driver's vtable, also with what must be refused. Needs an X server at
 * DISPLAY and the driver where libva looks for it (LIBVA_DRIVERS_PATH, LIBVA_DRIVER_NAME). Prints a line
 * for each failed check and, last, "N passed, N failed"; the exit status is 0 if nothing failed.
 */
#include "client.h"

#include <stdio.h>

static int x_errors;

static int count_x_error(Display *display, XErrorEvent *error)
{
    char text[128];

    XGetErrorText(display, error->error_code, text, sizeof text);
    printf("X error on the client's connection: %s (request %d)\n", text, error->request_code);
    x_errors++;
    return 0;
}

int main(void)
{
    struct client client;
    /* An X server without clients may reset itself and refuse connections meanwhile. */
    Display *anchor = XOpenDisplay(NULL);

    XSetErrorHandler(count_x_error);

    part("displays");
    test_displays();

    client = open_client();
    part("configs");
    test_configs(client.va);
    part("surfaces");
    test_surfaces(client.va);
    part("contexts and buffers");
    test_contexts_and_buffers(client.va);
    part("pictures");
    test_pictures(client.va);
    part("broken pictures");
    test_broken_pictures(client.va);
    part("images");
    test_images(client.va);
    part("overlays and attributes");
    test_overlays_and_attributes(client.va);
    part("sharing");
    test_sharing(client.va);
    part("what is not there");
    test_what_is_not_there(client.va);
    part("vaPutSurface");
    test_put_surface(&client);
    close_client(&client);
    if (anchor)
        XCloseDisplay(anchor);

    CHECK(x_errors == 0, "%d errors came over the client's X connection", x_errors);
    return summary();
}
