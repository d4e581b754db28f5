/* A libnvidia-ml.so.1 for the tests: what the driver says stands in a text file, which is read again by each call.
 *
 * The file is named by FAKE_NVML_SCRIPT. A line is a key and a value; the first that fits counts:
 *     cards 1                        how many there are
 *     0.total_mb 32768               figures of card 0: total_mb, used_mb, utilization, temperature, sessions
 *     0.process.0 4242:1500          its first process: pid and MB
 *     nvmlInitWithFlags 9            the error code that a function returns
 *     0.nvmlDeviceGetMemoryInfo 15   the same for one card
 *     hang_ms 200                    how long the driver takes to count its cards
 * Only what guardians/nvml.py asks for is here; the real header is not needed, the layouts are pynvml's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MIB (1024ull * 1024ull)
#define MOST_PROCESSES 16
enum { SUCCESS = 0, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };

typedef struct { int index; } *device_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } utilization_t;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu_instance, compute_instance; } process_t;

static struct { int index; } devices[16];

static int look_up(const char *key, char *value, size_t size) {
    const char *path = getenv("FAKE_NVML_SCRIPT");
    FILE *script = path ? fopen(path, "r") : NULL;
    char line[256], name[128], text[128];
    int found = 0;
    while (script && !found && fgets(line, sizeof line, script)) {
        if (sscanf(line, "%127s %127[^\n]", name, text) == 2 && strcmp(name, key) == 0) {
            snprintf(value, size, "%s", text);
            found = 1;
        }
    }
    if (script) fclose(script);
    return found;
}

static long long number(const char *key, long long otherwise) {
    char value[128];
    return look_up(key, value, sizeof value) ? atoll(value) : otherwise;
}

static long long of_card(device_t device, const char *what, long long otherwise) {
    char key[128];
    snprintf(key, sizeof key, "%d.%s", device->index, what);
    return number(key, otherwise);
}

static int refused(device_t device, const char *function) {
    int code = (int)number(function, SUCCESS);
    return code || !device ? code : (int)of_card(device, function, SUCCESS);
}

int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    return refused(NULL, "nvmlInitWithFlags");
}

int nvmlShutdown(void) { return refused(NULL, "nvmlShutdown"); }

const char *nvmlErrorString(int code) {
    switch (code) {
    case 3: return "Not Supported";
    case 9: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    case 20: return "Insufficient Memory";
    default: return "Unknown Error";
    }
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    long long hang_ms = number("hang_ms", 0);
    struct timespec pause = {hang_ms / 1000, (hang_ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
    *count = (unsigned int)number("cards", 0);
    return refused(NULL, "nvmlDeviceGetCount");
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device_t *device) {
    if (index >= sizeof devices / sizeof devices[0]) return NOT_FOUND;
    devices[index].index = (int)index;
    *device = (device_t)&devices[index];
    return refused(*device, "nvmlDeviceGetHandleByIndex");
}

int nvmlDeviceGetName(device_t device, char *name, unsigned int length) {
    snprintf(name, length, "Fake card %d", device->index);
    return refused(device, "nvmlDeviceGetName");
}

int nvmlDeviceGetMemoryInfo(device_t device, memory_t *memory) {
    memory->total = MIB * (unsigned long long)of_card(device, "total_mb", 32768);
    memory->used = MIB * (unsigned long long)of_card(device, "used_mb", 0);
    memory->free = memory->total - memory->used;
    return refused(device, "nvmlDeviceGetMemoryInfo");
}

int nvmlDeviceGetUtilizationRates(device_t device, utilization_t *rates) {
    rates->gpu = rates->memory = (unsigned int)of_card(device, "utilization", 0);
    return refused(device, "nvmlDeviceGetUtilizationRates");
}

int nvmlDeviceGetTemperature(device_t device, int sensor, unsigned int *celsius) {
    (void)sensor;
    *celsius = (unsigned int)of_card(device, "temperature", 40);
    return refused(device, "nvmlDeviceGetTemperature");
}

int nvmlDeviceGetEncoderStats(device_t device, unsigned int *sessions, unsigned int *fps, unsigned int *latency_us) {
    *sessions = (unsigned int)of_card(device, "sessions", 0);
    *fps = *latency_us = 0;
    return refused(device, "nvmlDeviceGetEncoderStats");
}

int nvmlDeviceGetComputeRunningProcesses_v3(device_t device, unsigned int *count, process_t *processes) {
    unsigned int room = *count, found = 0, pid;
    unsigned long long used_mb;
    char key[64], value[128];
    int code = refused(device, "nvmlDeviceGetComputeRunningProcesses");
    if (code) return code;
    for (; found < MOST_PROCESSES; found++) {
        snprintf(key, sizeof key, "%d.process.%u", device->index, found);
        if (!look_up(key, value, sizeof value) || sscanf(value, "%u:%llu", &pid, &used_mb) != 2) break;
        if (found < room) processes[found] = (process_t){pid, used_mb * MIB, 0, 0};
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(device_t device, unsigned int *count, process_t *processes) {
    (void)processes;
    *count = 0;
    return refused(device, "nvmlDeviceGetGraphicsRunningProcesses");
}
