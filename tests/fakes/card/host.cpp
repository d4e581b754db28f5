// Lets a C++ compiler build kernel.cu for the CPU, and runs it thread by thread over the grid that it was asked for.
#include <math.h>
#include <stddef.h>

#define __device__
#define __global__
#define __forceinline__ inline
#define __grid_constant__
#define __restrict__
struct uchar2 { unsigned char x, y; };
struct uchar4 { unsigned char x, y, z, w; };
struct float3 { float x, y, z; };
struct dim3 { int x, y, z; };
static inline float3 make_float3(float x, float y, float z) { return float3{x, y, z}; }
static inline int min(int a, int b) { return a < b ? a : b; }
static thread_local dim3 blockIdx, blockDim, threadIdx;

#include "kernel.cu"

extern "C" void launch(int grid_x, int grid_y, int block_x, int block_y, const Frame* frame, unsigned char* out, int width,
                       int height, int pitch) {
    blockDim = {block_x, block_y, 1};
    for (int by = 0; by < grid_y; by++)
        for (int bx = 0; bx < grid_x; bx++)
            for (int ty = 0; ty < block_y; ty++)
                for (int tx = 0; tx < block_x; tx++) {
                    blockIdx = {bx, by, 0};
                    threadIdx = {tx, ty, 0};
                    compose_nv12(*frame, out, width, height, pitch);
                }
}

// Sizes and places of the structs, as the C++ compiler lays them out.
extern "C" {
int described[] = {
    sizeof(Layer), offsetof(Layer, luma), offsetof(Layer, scale), offsetof(Layer, weight), offsetof(Layer, pitch),
    sizeof(Patch), offsetof(Patch, chroma), offsetof(Patch, left), offsetof(Patch, opacity),
    sizeof(Frame), offsetof(Frame, patches), offsetof(Frame, layer_count), offsetof(Frame, patch_count),
};
}
