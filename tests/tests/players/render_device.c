/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Preloaded into weston: names a render device to it although its EGL has none.
 *
 * Without a GPU there are two kinds of EGL. The one for a DRM node cannot import dma-bufs (Mesa's kms_swrast maps
 * imported buffers with DRM_IOCTL_MODE_MAP_DUMB, which the kernel refuses); the one without maps and reads
 * them, but then weston does not offer clients the fourth version of linux-dmabuf, which has to name a
 * device. So EGL is the one without, and the device is what RENDER_DEVICE says.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* EGL/eglext.h */
#define EGL_EXTENSIONS			0x3055
#define EGL_DRM_RENDER_NODE_FILE_EXT	0x3377

typedef const char *(*query_device_string)(void *device, int name);
typedef void *(*get_proc_address)(const char *name);

static query_device_string real_query;

static const char *query(void *device, int name)
{
	static char extensions[4096];
	const char *said;

	if (name == EGL_DRM_RENDER_NODE_FILE_EXT)
		return getenv("RENDER_DEVICE");
	said = real_query(device, name);
	if (name != EGL_EXTENSIONS || !said)
		return said;
	snprintf(extensions, sizeof(extensions), "%s EGL_EXT_device_drm_render_node", said);
	return extensions;
}

void *eglGetProcAddress(const char *name)
{
	void *library = dlopen("libEGL.so.1", RTLD_LAZY);
	get_proc_address real = library ? (get_proc_address)dlsym(library, "eglGetProcAddress") : NULL;
	void *found = real ? real(name) : NULL;

	if (!found || strcmp(name, "eglQueryDeviceStringEXT"))
		return found;
	real_query = (query_device_string)found;
	return (void *)query;
}
