// One frame in one pass: each layer is looked at through its view (bilinear), laid over the one below by its cover,
// turned from RGB to NV12 (BT.709, limited), and covered by the patches. One thread makes 2 x 2 pixels: four of luma,
// one of chroma. Nothing is rounded before the end, so a level (of 255) is what the result may differ by from any
// other exact way. The structs are described once more in gpu.py; a test holds the two equal.
//
// At 1920 x 1080 a frame is 518,400 threads in 4,080 blocks of 32 x 8; it reads at most 16 taps of 4 bytes for two
// layers and a pixel, most of them from cache, and writes 3.1 MB. No shared memory, no atomics, no local arrays.
#define MAX_LAYERS 4
#define MAX_PATCHES 6

// A prepared picture, RGB and one byte of padding, rows without a gap; or, where `luma` is not null, a moving one in NV12
// of BT.709, limited, as a decoder leaves it: rows of `pitch` bytes, `width` and `height` even. Output pixel X shows source left + (X + 1/2) *
// scale - 1/2; beyond the edges their pixels go on. `width` and `height` are at least 2. It covers the layer below by
// weight + (X + 1/2) * across + (Y + 1/2) * down, between 0 and 1.
struct Layer {
    const uchar4* pixels;
    const unsigned char* luma;
    const uchar2* chroma;
    float scale, left, top, weight, across, down;
    int width, height, pitch;
};

// Colour, multiplied by its alpha, and how much shows through (255: all of it): luma has both for each pixel, chroma U,
// V and the share for each 2 x 2. Place and size are even.
struct Patch {
    const uchar2* luma;
    const uchar4* chroma;
    int left, top, width, height;
    float opacity;
};

struct Frame {
    Layer layers[MAX_LAYERS];
    Patch patches[MAX_PATCHES];
    int layer_count, patch_count;
};

__device__ __forceinline__ float between(float value, float low, float high) { return fminf(fmaxf(value, low), high); }

__device__ __forceinline__ unsigned char rounded(float value) { return (unsigned char)(between(value, 0.f, 255.f) + .5f); }

__device__ __forceinline__ float3 seen(const Layer& layer, int column, int row) {
    float x = between(layer.left + (column + .5f) * layer.scale - .5f, 0.f, (float)(layer.width - 1));
    float y = between(layer.top + (row + .5f) * layer.scale - .5f, 0.f, (float)(layer.height - 1));
    int left = min((int)x, layer.width - 2), top = min((int)y, layer.height - 2);
    x -= left;
    y -= top;
    const uchar4* at = layer.pixels + (size_t)top * layer.width + left;
    const uchar4 a = at[0], b = at[1], c = at[layer.width], d = at[layer.width + 1];
    float wa = (1 - x) * (1 - y), wb = x * (1 - y), wc = (1 - x) * y, wd = x * y;
    return make_float3(a.x * wa + b.x * wb + c.x * wc + d.x * wd, a.y * wa + b.y * wb + c.y * wc + d.y * wd,
                       a.z * wa + b.z * wb + c.z * wc + d.z * wd);
}

// The same of a moving picture. Its colours are not held to what RGB can show, so that unmoved ones come out as they went
// in; all pixels of a 2 x 2 have the chroma of its middle.
__device__ __forceinline__ float3 filmed(const Layer& layer, int column, int row) {
    float x = between(layer.left + (column + .5f) * layer.scale - .5f, 0.f, (float)(layer.width - 1));
    float y = between(layer.top + (row + .5f) * layer.scale - .5f, 0.f, (float)(layer.height - 1));
    int left = min((int)x, layer.width - 2), top = min((int)y, layer.height - 2);
    x -= left;
    y -= top;
    const unsigned char* at = layer.luma + (size_t)top * layer.pitch + left;
    const float grey = ((at[0] * (1 - x) + at[1] * x) * (1 - y) + (at[layer.pitch] * (1 - x) + at[layer.pitch + 1] * x) * y -
                        16.f) * (255.f / 219.f);
    const int columns = layer.width / 2, rows = layer.height / 2;
    float u = between(layer.left * .5f + (column / 2 + .5f) * layer.scale - .5f, 0.f, (float)(columns - 1));
    float v = between(layer.top * .5f + (row / 2 + .5f) * layer.scale - .5f, 0.f, (float)(rows - 1));
    left = (int)u;
    top = (int)v;
    u -= left;
    v -= top;
    const int right = min(left + 1, columns - 1), below = min(top + 1, rows - 1), pitch = layer.pitch / 2;
    const uchar2 a = layer.chroma[(size_t)top * pitch + left], b = layer.chroma[(size_t)top * pitch + right];
    const uchar2 c = layer.chroma[(size_t)below * pitch + left], d = layer.chroma[(size_t)below * pitch + right];
    const float wa = (1 - u) * (1 - v), wb = u * (1 - v), wc = (1 - u) * v, wd = u * v;
    const float blue = (a.x * wa + b.x * wb + c.x * wc + d.x * wd - 128.f) * (255.f / 224.f);
    const float red = (a.y * wa + b.y * wb + c.y * wc + d.y * wd - 128.f) * (255.f / 224.f);
    return make_float3(grey + 1.5748f * red, grey - (.2126f * 1.5748f * red + .0722f * 1.8556f * blue) * (1.f / .7152f),
                       grey + 1.8556f * blue);
}

__device__ __forceinline__ float cover(const Layer& layer, int column, int row) {
    return between(layer.weight + (column + .5f) * layer.across + (row + .5f) * layer.down, 0.f, 1.f);
}

__device__ __forceinline__ float laid(float under, float colour, float through, float opacity) {
    return under * (1.f - opacity * (1.f - through * (1.f / 255.f))) + opacity * colour;
}

__device__ __forceinline__ float brightness(float3 rgb) { return .2126f * rgb.x + .7152f * rgb.y + .0722f * rgb.z; }

// `out` is one allocation: `height` rows of luma, `height / 2` rows of chroma right below them, all `pitch` bytes long,
// which is what NVENC reads. Width, height and pitch are even.
extern "C" __global__ void compose_nv12(const __grid_constant__ Frame frame, unsigned char* __restrict__ out,
                                        const int width, const int height, const int pitch) {
    const int x = (blockIdx.x * blockDim.x + threadIdx.x) * 2, y = (blockIdx.y * blockDim.y + threadIdx.y) * 2;
    if (x >= width || y >= height) return;
    float3 sum = make_float3(0.f, 0.f, 0.f);
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) {
            float3 rgb = make_float3(0.f, 0.f, 0.f);
            for (int n = 0; n < frame.layer_count; n++) {
                const Layer& layer = frame.layers[n];
                const float3 top = layer.luma ? filmed(layer, x + i, y + j) : seen(layer, x + i, y + j);
                const float weight = n == 0 ? 1.f : cover(layer, x + i, y + j);
                rgb.x += (top.x - rgb.x) * weight;
                rgb.y += (top.y - rgb.y) * weight;
                rgb.z += (top.z - rgb.z) * weight;
            }
            sum.x += rgb.x;
            sum.y += rgb.y;
            sum.z += rgb.z;
            float luma = 16.f + brightness(rgb) * (219.f / 255.f);
            for (int n = 0; n < frame.patch_count; n++) {
                const Patch& patch = frame.patches[n];
                const int u = x + i - patch.left, v = y + j - patch.top;
                if (u < 0 || v < 0 || u >= patch.width || v >= patch.height) continue;
                const uchar2 texel = patch.luma[(size_t)v * patch.width + u];
                luma = laid(luma, texel.x, texel.y, patch.opacity);
            }
            out[(size_t)(y + j) * pitch + x + i] = rounded(luma);
        }
    sum.x *= .25f;
    sum.y *= .25f;
    sum.z *= .25f;
    const float grey = brightness(sum);
    float blue = 128.f + (sum.z - grey) * (224.f / 255.f / 1.8556f);
    float red = 128.f + (sum.x - grey) * (224.f / 255.f / 1.5748f);
    for (int n = 0; n < frame.patch_count; n++) {
        const Patch& patch = frame.patches[n];
        const int u = (x - patch.left) / 2, v = (y - patch.top) / 2;
        if (x < patch.left || y < patch.top || 2 * u >= patch.width || 2 * v >= patch.height) continue;
        const uchar4 texel = patch.chroma[(size_t)v * (patch.width / 2) + u];
        blue = laid(blue, texel.x, texel.z, patch.opacity);
        red = laid(red, texel.y, texel.z, patch.opacity);
    }
    unsigned char* chroma = out + (size_t)(height + y / 2) * pitch + x;
    chroma[0] = rounded(blue);
    chroma[1] = rounded(red);
}
