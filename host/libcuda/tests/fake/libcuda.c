/* Stands in for NVIDIA's libcuda.so.1: prints the calls that reach it. FAKE_INIT is what cuInit answers,
   FAKE_DEVICES how many devices there are. Device memory is host memory. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *handle;

static int number(const char *name) {
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

int cuInit(unsigned flags) {
    printf("fake cuInit %u\n", flags);
    return number("FAKE_INIT");
}

int cuDeviceGetCount(int *count) {
    *count = number("FAKE_DEVICES");
    return 0;
}

int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return 0;
}

int cuDevicePrimaryCtxRetain(handle *context, int device) {
    *context = (handle)(uintptr_t)(0xc0 + device);
    return 0;
}

int cuDevicePrimaryCtxRelease_v2(int device) { return printf("fake release %d\n", device), 0; }

int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) { return (void)device, (void)flags, 0; }

int cuCtxSetCurrent(handle context) { return printf("fake current %#lx\n", (unsigned long)context), 0; }

int cuStreamCreateWithPriority(handle *stream, unsigned flags, int priority) {
    printf("fake stream %u %d\n", flags, priority);
    *stream = (handle)0x5e;
    return 0;
}

int cuStreamSynchronize(handle stream) { return printf("fake synchronize %#lx\n", (unsigned long)stream), 0; }

int cuStreamDestroy_v2(handle stream) { return (void)stream, 0; }

int cuModuleLoadDataEx(handle *module, const char *image, unsigned count, int *names, void **values) {
    (void)names, (void)values;
    printf("fake module of %zu bytes, %u options\n", strlen(image), count);
    *module = (handle)0x30;
    return 0;
}

int cuModuleUnload(handle module) { return (void)module, 0; }

int cuModuleGetFunction(handle *function, handle module, const char *name) {
    (void)module;
    printf("fake function %s\n", name);
    *function = (handle)0xf0;
    return 0;
}

int cuMemAlloc_v2(uint64_t *pointer, size_t bytes) {
    *pointer = (uint64_t)(uintptr_t)malloc(bytes);
    return 0;
}

int cuMemFree_v2(uint64_t pointer) { return free((void *)(uintptr_t)pointer), 0; }

int cuMemcpyHtoD_v2(uint64_t target, const void *source, size_t bytes) {
    return memcpy((void *)(uintptr_t)target, source, bytes), 0;
}

int cuMemcpyDtoH_v2(void *target, uint64_t source, size_t bytes) {
    return memcpy(target, (void *)(uintptr_t)source, bytes), 0;
}

/* Eleven arguments: five of them come on the stack on x86-64, three on aarch64. */
int cuLaunchKernel(handle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, handle stream, void **params, void **extra) {
    printf("fake launch %#lx grid %u %u %u block %u %u %u shared %u stream %#lx params %u %.2f extra %d\n",
           (unsigned long)function, gx, gy, gz, bx, by, bz, shared, (unsigned long)stream,
           *(unsigned *)params[0], *(double *)params[1], extra != NULL);
    return 0;
}

/* A code that cust's enumeration lists, and its text from this library. */
int cuEventCreate(handle *event, unsigned flags) { return (void)event, (void)flags, 304; }

int cuGetErrorString(int code, const char **text) {
    static char buffer[64];
    snprintf(buffer, sizeof buffer, "fake text of %d", code);
    *text = buffer;
    return 0;
}
