/* A libnvidia-ml.so.1 for tests, driven by the environment: FAKE_GPUS (how many), FAKE_INIT (what nvmlInit returns).
   GPU 0 tells everything; every other one supports neither memory, power limit nor utilization, like some slices. */
#include <stdio.h>
#include <stdlib.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3 };
typedef struct { int index; } Device;
typedef struct { unsigned long long total, free, used; } Memory;
static Device devices[8];

static int number(const char *name, int otherwise) { const char *text = getenv(name); return text ? atoi(text) : otherwise; }
static int first(void *device) { return ((Device *)device)->index == 0; }

int nvmlInitWithFlags(unsigned flags) { return number("FAKE_INIT", SUCCESS); }
int nvmlInit_v2(void) { return number("FAKE_INIT", SUCCESS); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == NOT_SUPPORTED ? "Not Supported" : "fake error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = number("FAKE_GPUS", 1); return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if ((int)index >= number("FAKE_GPUS", 1)) return INVALID_ARGUMENT;
    devices[index].index = index;
    *device = &devices[index];
    return SUCCESS;
}
int nvmlDeviceGetName(void *device, char *text, unsigned length) { snprintf(text, length, "FAKE H200 #%d", ((Device *)device)->index); return SUCCESS; }
int nvmlDeviceGetMemoryInfo(void *device, Memory *memory) {
    if (!first(device)) return NOT_SUPPORTED;
    memory->total = 1000; memory->used = 400; memory->free = 600;
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) {
    if (!first(device)) return NOT_SUPPORTED;
    rates[0] = 87; rates[1] = 40;
    return SUCCESS;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees) { *degrees = 61; return SUCCESS; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) { *milliwatts = 512500; return SUCCESS; }
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts) {
    if (!first(device)) return NOT_SUPPORTED;
    *milliwatts = 700000;
    return SUCCESS;
}
