/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A daemon that lies: it attaches as daedalusd does, and then answers requests wrongly, twice, late, or never,
 * asks for what there is not, reads with buffers that are too small, and dies without a word.
 *
 *	liar SEED
 *
 * Prints "attached" once it is, and at its end what it did. It dies after a few hundred messages, or when it is
 * killed. Status 1: the module let through what it must refuse; standard error says what.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../kmod/uapi/daedalus.h"

/* Requests that it remembers in order to answer them again, or late. */
#define KEPT 16

/* As large as the module says: it wants room for the largest with each read. */
static struct daedalus_decode *message;
static size_t message_size;

static struct daedalus_complete kept[KEPT];
static unsigned int kept_count, decodes, answers, refused;
static int device;

static void fail(const char *what)
{
	fprintf(stderr, "liar: %s (%s)\n", what, strerror(errno));
	exit(1);
}

static unsigned int pick(unsigned int below)
{
	return (unsigned int)random() % below;
}

/* Whatever it is, the module answers and stays. */
static void answer(struct daedalus_complete complete)
{
	if (ioctl(device, DAEDALUS_IOC_COMPLETE, &complete) == 0)
		answers++;
	else
		refused++;
}

static void answer_kept(unsigned int number)
{
	answer(kept[number]);
}

/* Names that nobody has must not be found. */
static void answer_nobody(void)
{
	struct daedalus_complete nobody = { .session = random(), .cookie = ~0ull - pick(1000) };

	if (ioctl(device, DAEDALUS_IOC_COMPLETE, &nobody) == 0)
		fail("a request that nobody made was completed");
	refused++;
}

static void ask_for_buffer(uint64_t session, uint64_t cookie, uint32_t index, int must_fail)
{
	struct daedalus_get_buffer get = { .session = session, .cookie = cookie, .index = index };
	void *memory;

	if (ioctl(device, DAEDALUS_IOC_GET_BUFFER, &get)) {
		refused++;
		return;
	}
	if (must_fail)
		fail("a buffer that there is not was given");
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, get.fd, 0);
	if (memory != MAP_FAILED) {
		memset(memory, pick(256), 4096);
		/* Some mappings stay until it dies. */
		if (pick(2))
			munmap(memory, 4096);
	}
	if (pick(4))
		close(get.fd);
}

static void lie(void)
{
	const struct daedalus_decode *decode = message;
	struct daedalus_complete complete = {
		.session = decode->head.session,
		.cookie = decode->cookie,
		.status = pick(3),
	};

	decodes++;
	if (pick(2))
		ask_for_buffer(decode->head.session, decode->cookie, pick(decode->num_buffers), 0);
	switch (pick(10)) {
	case 0: /* Never. */
		break;
	case 1: /* Twice. */
		answer(complete);
		answer(complete);
		break;
	case 2: /* With a status that there is not. */
		complete.status = 3 + pick(1 << 30);
		if (ioctl(device, DAEDALUS_IOC_COMPLETE, &complete) == 0)
			fail("a status that there is not was taken");
		complete.status = DAEDALUS_STATUS_FAILED;
		answer(complete);
		break;
	case 3: /* Another's. */
		complete.session += 1 + pick(3);
		answer(complete);
		complete.session = decode->head.session;
		answer(complete);
		break;
	case 4: /* Late, or never. */
	case 5:
		kept[kept_count++ % KEPT] = complete;
		break;
	case 6: /* Late, in any order. */
		for (unsigned int at = 0; at < KEPT && at < kept_count; at++)
			answer_kept(pick(kept_count < KEPT ? kept_count : KEPT));
		answer(complete);
		break;
	case 7:
		answer_nobody();
		ask_for_buffer(decode->head.session, decode->cookie, decode->num_buffers + pick(1000), 1);
		ask_for_buffer(decode->head.session, ~0ull, 0, 1);
		answer(complete);
		break;
	case 8:
		usleep(pick(20000));
		answer(complete);
		break;
	default:
		answer(complete);
	}
	if (!pick(20))
		ask_for_buffer(decode->head.session, decode->cookie, 0, 0);
}

/* Calls that make no sense on any file. */
static void nonsense(void)
{
	struct daedalus_attach again = { .version = DAEDALUS_PROTOCOL_VERSION, .codecs = 7 };
	char little[8];

	if (ioctl(device, DAEDALUS_IOC_ATTACH, &again) == 0)
		fail("it attached twice");
	if (ioctl(device, _IOWR('D', 3 + pick(200), char[64]), message) == 0)
		fail("a call that there is not succeeded");
	if (ioctl(device, DAEDALUS_IOC_COMPLETE, (void *)16) == 0 || errno != EFAULT)
		fail("a bad address was taken");
	if (read(device, little, sizeof(little)) > 0)
		fail("a message was cut short");
	if (write(device, little, sizeof(little)) > 0)
		fail("the device can be written");
}

int main(int argc, char **argv)
{
	struct daedalus_attach attach = {
		.version = DAEDALUS_PROTOCOL_VERSION,
		.codecs = DAEDALUS_CODEC_H264 | DAEDALUS_CODEC_VP9 | DAEDALUS_CODEC_AV1,
		.max_width = 16384,
		.max_height = 16384,
	};
	unsigned int messages, idle = 0;

	if (argc != 2)
		fail("usage: liar SEED");
	srandom(atoi(argv[1]));
	attach.codecs_10bit = attach.codecs;
	device = open("/dev/daedalus", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (device < 0)
		fail("no /dev/daedalus");
	if (ioctl(device, DAEDALUS_IOC_COMPLETE, &kept[0]) == 0)
		fail("it completed a request before it attached");
	if (ioctl(device, DAEDALUS_IOC_ATTACH, &attach))
		fail("it cannot attach");
	message_size = attach.message_size;
	message = malloc(message_size);
	if (!message)
		fail("no memory");
	puts("attached");
	fflush(stdout);
	for (messages = 30 + pick(300); messages; messages--) {
		struct pollfd poll_device = { .fd = device, .events = POLLIN };
		ssize_t length;

		if (!pick(10))
			nonsense();
		if (poll(&poll_device, 1, 100) == 0) {
			while (kept_count)
				answer_kept(--kept_count % KEPT);
			/* Those that it never answers hold somebody up; but a client takes its time to come. */
			if (++idle == (decodes ? 10 : 200))
				break;
			continue;
		}
		idle = 0;
		length = read(device, message, pick(10) ? message_size : pick(200));
		if (length < 0)
			continue;
		if ((size_t)length != message->head.size)
			fail("a message says another size than was read");
		if (message->head.type == DAEDALUS_MSG_DECODE)
			lie();
	}
	printf("%u requests, %u answers taken, %u refused\n", decodes, answers, refused);
	fflush(stdout);
	if (pick(2))
		raise(SIGKILL);
	return 0;
}
