// What happens to pixels before and after the model, on the device.
//
// The arithmetic is that of aliaug_edge/imaging/arrays.py, crops.py and generation/blend.py,
// operation by operation: float where numpy has float32, double where it has float64, half rounded
// to even, and no fused multiply-add (compile with --fmad=false). tests/engines compile this same
// file as C++ and hold it against those functions, byte by byte.
//
// Grid: x over the pixels of an item, y over the items of the batch. h, w: the model's size.
// geometry: 10 ints per item, see the names below. Photo and mask arrive as the region of the
// image that the window needs, rows packed; what lies beyond the border is reflected.

enum { FIRST_ROW, FIRST_COLUMN, REGION_WIDTH, TOP, LEFT, PHOTO_HEIGHT, PHOTO_WIDTH, GREY, MODE, FIELDS = 10 };
enum { NONE, FEATHER, HARD };
enum { BY_ROW, BY_COLUMN };

#define BAND_PX 8.0        // generation.blend.BLEND_BAND_PX
#define LEAST_BAND_PX 2.0  // generation.blend.LEAST_BAND_PX
#define HARD_MARGIN_PX 1   // generation.blend.HARD_MARGIN_PX

__device__ static int folded(int index, int limit) {
    if (limit == 1) return 0;
    int period = 2 * (limit - 1);
    int inside = index % period;
    if (inside < 0) inside += period;
    return inside < period - inside ? inside : period - inside;
}

// The radius of one of the three steps of generation.blend.alpha: 0 grow, 1 and 2 blur.
__device__ static int step_radius(int step, int mode, int painted) {
    if (mode == NONE) return 0;
    if (mode == HARD) return step == 0 ? HARD_MARGIN_PX : 0;
    double band = sqrt((double)painted) / 4.0;
    if (band < LEAST_BAND_PX) band = LEAST_BAND_PX;
    if (band > BAND_PX) band = BAND_PX;
    int whole = (int)rint(band), half = whole / 2;
    if (step == 0) return whole - half;
    return step == 1 ? half - half / 2 : half / 2;
}

// Region of photo and mask -> shown pixels, the model's image and mask, and the mask as 0 and 1.
extern "C" __global__ void cut(
    const unsigned char *photo, const unsigned char *painted, const int *geometry,
    unsigned char *shown, float *image, float *mask, int *marks, int height, int width) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x, item = blockIdx.y, pixels = height * width;
    if (pixel >= pixels) return;
    const int *at = geometry + item * FIELDS;
    int row = folded(at[TOP] + pixel / width, at[PHOTO_HEIGHT]) - at[FIRST_ROW];
    int column = folded(at[LEFT] + pixel % width, at[PHOTO_WIDTH]) - at[FIRST_COLUMN];
    int source = item * pixels + row * at[REGION_WIDTH] + column;
    for (int channel = 0; channel < 3; ++channel) {
        unsigned char level = photo[source * 3 + channel];
        shown[(item * pixels + pixel) * 3 + channel] = level;
        float value = (float)level * (float)(1 / 127.5);
        image[(item * 3 + channel) * pixels + pixel] = value - 1.0f;
    }
    unsigned char mark = painted[source];
    mask[item * pixels + pixel] = mark > 127 ? 1.0f : 0.0f;
    marks[item * pixels + pixel] = mark > 0;
}

// The mask in its class's colour, for bundles whose encoder sees the mask too.
extern "C" __global__ void paint(
    const float *mask, const float *colour, float *target, int height, int width) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x, item = blockIdx.y, pixels = height * width;
    if (pixel >= pixels) return;
    for (int channel = 0; channel < 3; ++channel)
        target[(item * 3 + channel) * pixels + pixel] =
            mask[item * pixels + pixel] * colour[item * 3 + channel];
}

// How many pixels are marked, per item; `painted` starts at 0.
extern "C" __global__ void count_marks(const int *marks, int *painted, int pixels) {
    int item = blockIdx.y, found = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < pixels; i += gridDim.x * blockDim.x)
        found += marks[item * pixels + i];
    if (found) atomicAdd(painted + item, found);
}

// Sum over 2 radius + 1 neighbours along one axis, the edge repeated; step 0 by column gives 0 or 1.
extern "C" __global__ void box_sum(
    const int *source, int *target, const int *geometry, const int *painted, int step, int axis,
    int height, int width) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x, item = blockIdx.y, pixels = height * width;
    if (pixel >= pixels) return;
    int radius = step_radius(step, geometry[item * FIELDS + MODE], painted[item]);
    int row = pixel / width, column = pixel % width, total = 0;
    for (int offset = -radius; offset <= radius; ++offset) {
        int y = axis == BY_ROW ? row + offset : row, x = axis == BY_COLUMN ? column + offset : column;
        y = y < 0 ? 0 : y >= height ? height - 1 : y;
        x = x < 0 ? 0 : x >= width ? width - 1 : x;
        total += source[item * pixels + y * width + x];
    }
    target[item * pixels + pixel] = step == 0 && axis == BY_COLUMN ? total > 0 : total;
}

// shown + alpha * (generated - shown), clamped and rounded.
extern "C" __global__ void blend(
    const float *generated, const unsigned char *shown, const int *ramp, const int *geometry,
    const int *painted, unsigned char *patch, int height, int width) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x, item = blockIdx.y, pixels = height * width;
    if (pixel >= pixels) return;
    const int *at = geometry + item * FIELDS;
    int first = 2 * step_radius(1, at[MODE], painted[item]) + 1;
    int second = 2 * step_radius(2, at[MODE], painted[item]) + 1;
    double whole = (double)(first * first * second * second);
    float alpha = at[MODE] == NONE ? 1.0f : (float)((double)ramp[item * pixels + pixel] / whole);
    float change[3];
    for (int channel = 0; channel < 3; ++channel) {
        float value = fminf(fmaxf(generated[(item * 3 + channel) * pixels + pixel], -1.0f), 1.0f);
        float level = (value + 1.0f) * 127.5f;
        change[channel] = level - (float)shown[(item * pixels + pixel) * 3 + channel];
    }
    if (at[GREY]) {  // quality.planes.LUMA
        float luma = change[0] * 0.299f + change[1] * 0.587f + change[2] * 0.114f;
        change[0] = change[1] = change[2] = luma;
    }
    for (int channel = 0; channel < 3; ++channel) {
        int index = (item * pixels + pixel) * 3 + channel;
        float scaled = alpha * change[channel];
        float mixed = rintf((float)shown[index] + scaled);
        patch[index] = (unsigned char)fminf(fmaxf(mixed, 0.0f), 255.0f);
    }
}

// How many values per item are NaN or infinite; `broken` starts at 0.
extern "C" __global__ void count_broken(const float *generated, int *broken, int values) {
    int item = blockIdx.y, found = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < values; i += gridDim.x * blockDim.x)
        found += !(fabsf(generated[item * values + i]) <= 3.402823466e38f);
    if (found) atomicAdd(broken + item, found);
}
