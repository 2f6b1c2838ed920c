/* A VA-API client that is refused one call many times. */
#include <stdio.h>
#include <stdlib.h>
#include <va/va.h>
#include <va/va_x11.h>

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 0, major, minor;
	Display *x11 = XOpenDisplay(NULL);
	VADisplay display = x11 ? vaGetDisplay(x11) : NULL;
	VASurfaceID surface = 0x12345;

	if (!display || vaInitialize(display, &major, &minor) != VA_STATUS_SUCCESS) {
		fprintf(stderr, "no display\n");
		return 1;
	}
	for (int i = 0; i < count; i++)
		if (vaDestroySurfaces(display, &surface, 1) != VA_STATUS_ERROR_INVALID_SURFACE)
			return 2;
	vaTerminate(display);
	XCloseDisplay(x11);
	return 0;
}
