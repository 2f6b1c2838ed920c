/*
 * A libva of another age: what programs call of it, from a release whose VA-API is 1.8. It finds the driver, as
 * __vaDriverInit_1_0 is old enough for it.
 */
#include <stdlib.h>

typedef void *VADisplay;

static int display;

VADisplay vaGetDisplay(void *native);
VADisplay vaGetDisplayDRM(int fd);
int vaInitialize(VADisplay of, int *major, int *minor);
int vaTerminate(VADisplay of);
int vaMaxNumProfiles(VADisplay of);
int vaQueryConfigProfiles(VADisplay of, int *profiles, int *count);
const char *vaQueryVendorString(VADisplay of);
const char *vaErrorStr(int status);

VADisplay vaGetDisplay(void *native)
{
	return native ? &display : NULL;
}

VADisplay vaGetDisplayDRM(int fd)
{
	return fd >= 0 ? &display : NULL;
}

int vaInitialize(VADisplay of, int *major, int *minor)
{
	if (of != &display && !of)
		return 3;
	*major = 1;
	*minor = 8;
	return 0;
}

int vaTerminate(VADisplay of)
{
	(void)of;
	return 0;
}

int vaMaxNumProfiles(VADisplay of)
{
	(void)of;
	return 1;
}

int vaQueryConfigProfiles(VADisplay of, int *profiles, int *count)
{
	(void)of;
	profiles[0] = 6;
	*count = 1;
	return 0;
}

const char *vaQueryVendorString(VADisplay of)
{
	(void)of;
	return "Daedalus stateless decoder";
}

const char *vaErrorStr(int status)
{
	return status ? "invalid display" : "success";
}
