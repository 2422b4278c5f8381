/* An OpenCL driver with one device that fails as FAKE_DRIVER says:

   query-crash, query-hang    when it is asked for its platforms
   crash, hang, refuse        when it builds a program
   wrong                      never: kernels run, and do nothing

   Objects are all the same: a pointer to the table of functions, which the loader follows. The table's order is that of
   the Khronos header cl_icd.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOT_FOUND_KHR -1001
#define BUILD_FAILURE -11
#define INVALID_OPERATION -59

static void *table[256];
struct object { void **table; } platform = {table}, device = {table}, other = {table};

static int mode(const char *name) {
    const char *chosen = getenv("FAKE_DRIVER");
    return chosen && !strcmp(chosen, name);
}

static int unknown(void) { return INVALID_OPERATION; }
static int done(void) { return 0; }

static int give(const void *value, size_t n, size_t room, void *to, size_t *size) {
    if (size) *size = n;
    if (to) memcpy(to, value, n < room ? n : room);
    return 0;
}
static int give_text(const char *text, size_t room, void *to, size_t *size) {
    return give(text, strlen(text) + 1, room, to, size);
}
static int give_number(uint64_t number, size_t n, size_t room, void *to, size_t *size) {
    return give(&number, n, room, to, size);
}

static int platforms(unsigned n, struct object **to, unsigned *count) {
    if (mode("query-crash")) *(volatile int *)8 = 1;
    if (mode("query-hang")) for (;;) pause();
    if (count) *count = 1;
    if (to && n) *to = &platform;
    return 0;
}

static int platform_info(void *self, unsigned what, size_t room, void *to, size_t *size) {
    switch (what) {
        case 0x0900: return give_text("FULL_PROFILE", room, to, size);
        case 0x0901: return give_text("OpenCL 1.2 fake", room, to, size);
        case 0x0902: return give_text("Fake platform", room, to, size);
        case 0x0903: return give_text("nobody", room, to, size);
        case 0x0904: return give_text("cl_khr_icd", room, to, size);
        case 0x0920: return give_text("FAKE", room, to, size);
    }
    return INVALID_OPERATION;
}

static int devices(void *self, uint64_t kind, unsigned n, struct object **to, unsigned *count) {
    if (count) *count = 1;
    if (to && n) *to = &device;
    return 0;
}

static int device_info(void *self, unsigned what, size_t room, void *to, size_t *size) {
    switch (what) {
        case 0x1000: return give_number(4, 8, room, to, size);           /* a graphics card */
        case 0x1002: return give_number(1, 4, room, to, size);           /* compute units */
        case 0x1004: return give_number(256, 8, room, to, size);         /* work-items of a group */
        case 0x100C: return give_number(1000, 4, room, to, size);        /* MHz */
        case 0x101F: return give_number(1 << 30, 8, room, to, size);     /* global memory */
        case 0x1023: return give_number(1 << 16, 8, room, to, size);     /* local memory */
        case 0x1030: return give_text("", room, to, size);               /* extensions */
        case 0x102B: return give_text("Fake card", room, to, size);
        case 0x102C: return give_text("nobody", room, to, size);
        case 0x102D: return give_text("1", room, to, size);
        case 0x102F: return give_text("OpenCL 1.2 fake", room, to, size);
        case 0x1031: return give(&(void *){&platform}, sizeof(void *), room, to, size);
        case 0x1035: return give_number(0, 4, room, to, size);           /* memory of its own */
        case 0x103D: return give_text("OpenCL C 1.2", room, to, size);
    }
    return give_number(0, 8, room, to, size);
}

static void *context(void *a, unsigned b, void *c, void *d, void *e, int *error) { if (error) *error = 0; return &other; }
static void *queue(void *a, void *b, uint64_t c, int *error) { if (error) *error = 0; return &other; }
static void *buffer(void *a, uint64_t b, size_t c, void *d, int *error) { if (error) *error = 0; return &other; }
static void *program(void *a, unsigned b, void *c, void *d, int *error) { if (error) *error = 0; return &other; }
static void *kernel(void *a, void *b, int *error) { if (error) *error = 0; return &other; }

static int build(void) {
    if (mode("crash")) *(volatile int *)8 = 1; /* a signal sent would not do: another driver may catch it, and return */
    if (mode("hang")) for (;;) pause();
    return mode("refuse") ? BUILD_FAILURE : 0;
}

static int one_device(void *self, unsigned what, size_t room, void *to, size_t *size) {
    return what == 0x1083 || what == 0x1162 ? give_number(1, 4, room, to, size)
                                            : give(&(void *){&device}, sizeof(void *), room, to, size);
}
static int build_info(void *self, void *its_device, unsigned what, size_t room, void *to, size_t *size) {
    if (what != 0x1183) return give_number(mode("refuse") ? -2 : 0, 4, room, to, size);
    return give_text(mode("refuse") ? "error: unknown target CPU 'abacus'" : "", room, to, size);
}
static int kernel_info(void *self, unsigned what, size_t room, void *to, size_t *size) {
    if (what == 0x1190) return give_text("check", room, to, size);
    return what == 0x1191 ? give_number(1, 4, room, to, size) : give(&(void *){&other}, sizeof(void *), room, to, size);
}
static int buffer_info(void *self, unsigned what, size_t room, void *to, size_t *size) {
    return what == 0x1100 ? give_number(0x10F0, 4, room, to, size) : give_number(400, 8, room, to, size); /* its size */
}
static int launch(void *a, void *b, unsigned c, void *d, void *e, void *f, unsigned g, void *h, void **event) {
    if (event) *event = &other;
    return 0;
}
static int copy(void *a, void *b, unsigned c, size_t d, size_t e, void *f, unsigned g, void *h, void **event) {
    if (event) *event = &other;
    return 0;
}

__attribute__((constructor)) static void fill(void) {
    for (int k = 0; k < 256; k++) table[k] = unknown;
    table[0] = platforms; table[1] = platform_info; table[2] = devices; table[3] = device_info;
    table[4] = context; table[6] = table[7] = done; table[8] = one_device;
    table[9] = queue; table[10] = table[11] = done;
    table[14] = buffer; table[20] = buffer_info; table[17] = table[18] = done;
    table[26] = program; table[28] = table[29] = done; table[30] = build; table[32] = one_device; table[33] = build_info;
    table[34] = kernel; table[39] = kernel_info; table[36] = table[37] = table[38] = done;
    table[41] = table[43] = table[44] = table[46] = table[47] = done;
    table[48] = table[49] = copy; table[59] = launch;
}

int clIcdGetPlatformIDsKHR(unsigned n, struct object **to, unsigned *count) { return platforms(n, to, count); }
int clGetPlatformInfo(void *self, unsigned what, size_t room, void *to, size_t *size) {
    return platform_info(self, what, room, to, size);
}
void *clGetExtensionFunctionAddress(const char *name) {
    if (!strcmp(name, "clIcdGetPlatformIDsKHR")) return clIcdGetPlatformIDsKHR;
    if (!strcmp(name, "clGetPlatformInfo")) return clGetPlatformInfo;
    return NULL;
}
