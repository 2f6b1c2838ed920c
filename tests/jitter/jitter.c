/*
 * Random scheduling delays for a program that is started with this library in LD_PRELOAD and a
 * number in DAEDALUS_JITTER: where its threads meet (mutexes, condition variables, futexes, their
 * starts), some of them yield or sleep now and then. What is right only as long as threads take
 * their turns as usual goes wrong under it.
 *
 * Each thread draws from a generator of its own, seeded with the number and the count of threads
 * before it: the same number makes the same draws, though not the same schedule. How often a thread
 * is held up is drawn as well, so that some run far ahead of others.
 *
 * Rust's std::sync and parking_lot enter the kernel through libc's syscall(); they are met there,
 * and only where a thread really waits or wakes another. Code inside libc calls its own functions
 * directly and is left alone.
 */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_NS 300000

/* Zero: no delays. */
static uint64_t seed;
static atomic_uint threads;
static atomic_ulong delays;

/* In the static TLS block, since another model may allocate on a thread's first use. */
#define THREAD_LOCAL static _Thread_local __attribute__((tls_model("initial-exec")))
THREAD_LOCAL uint64_t generator;
THREAD_LOCAL uint64_t mask;

/*
 * The function that `name` would be without this library. Of condition variables libc has two
 * versions on x86-64, and which one dlsym() gives has changed: everybody means the newer.
 */
static void *next(const char *name, const char *version)
{
    void *found = version ? dlvsym(RTLD_NEXT, name, version) : NULL;

    if (!found)
        found = dlsym(RTLD_NEXT, name);
    /* There is no way to go on, and none to say so: the message itself would need locks. */
    if (!found)
        abort();
    return found;
}

/*
 * The next function as a pointer of the type of `function`, looked for on the first call: that may
 * come from another library's constructor, before any of ours. Two threads find the same.
 */
#define NEXT_VERSION(function, version)                               \
    ({                                                                \
        static _Atomic(__typeof__(&function)) known;                  \
        __typeof__(&function) found_ = atomic_load(&known);           \
        if (!found_) {                                                \
            found_ = (__typeof__(&function))next(#function, version); \
            atomic_store(&known, found_);                             \
        }                                                             \
        found_;                                                       \
    })
#define NEXT(function) NEXT_VERSION(function, NULL)
#define NEXT_COND(function) NEXT_VERSION(function, "GLIBC_2.3.2")

/* splitmix64: any seed will do. */
static uint64_t draw(void)
{
    uint64_t z = generator += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void begin_thread(void)
{
    static const uint64_t masks[] = { 0xff, 0x3f, 0x1f, 0x0f, 0x0f, 0x07, 0x03, 0x01 };

    generator = seed * 0xd1342543de82ef95 + atomic_fetch_add(&threads, 1) + 1;
    mask = masks[draw() % (sizeof(masks) / sizeof(masks[0]))];
}

/* Does nothing, yields, or sleeps for up to LONGEST_NS. */
static void delay(void)
{
    uint64_t bits;
    int error;

    if (!seed)
        return;
    if (!mask)
        begin_thread();
    bits = draw();
    if (bits & mask)
        return;
    bits >>= 16;
    error = errno;
    if ((bits & 3) == 0) {
        sched_yield();
    } else {
        /* As many below 5 microseconds as above 75, in powers of four. */
        long longest = LONGEST_NS >> (bits >> 2 & 3) * 2;
        struct timespec time = { .tv_nsec = (long)((bits >> 8) % (uint64_t)longest) };

        /* Not nanosleep(): a thread may be cancelled there, and not in the functions below. */
        NEXT(syscall)(SYS_nanosleep, &time, NULL);
    }
    atomic_fetch_add_explicit(&delays, 1, memory_order_relaxed);
    errno = error;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    int result;

    delay();
    result = NEXT(pthread_mutex_lock)(mutex);
    /* Holding it: others find it taken. */
    delay();
    return result;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    int result = NEXT(pthread_mutex_unlock)(mutex);

    delay();
    return result;
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    int result;

    delay();
    result = NEXT_COND(pthread_cond_wait)(condition, mutex);
    delay();
    return result;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *until)
{
    int result;

    delay();
    result = NEXT_COND(pthread_cond_timedwait)(condition, mutex, until);
    delay();
    return result;
}

int pthread_cond_signal(pthread_cond_t *condition)
{
    int result;

    delay();
    result = NEXT_COND(pthread_cond_signal)(condition);
    delay();
    return result;
}

int pthread_cond_broadcast(pthread_cond_t *condition)
{
    int result;

    delay();
    result = NEXT_COND(pthread_cond_broadcast)(condition);
    delay();
    return result;
}

struct start {
    void *(*routine)(void *);
    void *argument;
};

/* The new thread may come late. */
static void *started(void *data)
{
    struct start start = *(struct start *)data;

    free(data);
    delay();
    return start.routine(start.argument);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *),
                   void *argument)
{
    struct start *start = malloc(sizeof(*start));
    int result;

    if (!start)
        return EAGAIN;
    *start = (struct start){ routine, argument };
    delay();
    result = NEXT(pthread_create)(thread, attributes, started, start);
    if (result)
        free(start);
    /* And its maker, too. */
    delay();
    return result;
}

long syscall(long number, ...)
{
    long arguments[6];
    va_list list;
    long result;

    /* As libc's own does: what was not passed is whatever is there, and the kernel does not look.
     */
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_futex)
        delay();
    result = NEXT(syscall)(number, arguments[0], arguments[1], arguments[2], arguments[3],
                           arguments[4], arguments[5]);
    if (number == SYS_futex)
        delay();
    return result;
}

__attribute__((constructor)) static void read_seed(void)
{
    const char *text = getenv("DAEDALUS_JITTER");

    seed = text ? strtoull(text, NULL, 10) : 0;
}

/* Shows that the library was there, and at work. */
__attribute__((destructor)) static void report(void)
{
    char line[128];

    if (!seed)
        return;
    snprintf(line, sizeof(line), "jitter: seed %llu, %u threads, %lu delays\n",
             (unsigned long long)seed, atomic_load(&threads), atomic_load(&delays));
    /* Nobody is left to hear of it if that fails. */
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return;
}
