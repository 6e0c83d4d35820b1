// Zero insertion, padding, FIR filter, decimation, in one pass:
//     y[n, c, oy, ox] = gain * sum over ky, kx of f[ky, kx] * u[oy * down + ky - pad0, ox * down + kx - pad0]
// with u[v] = x[v / up] where v is a multiple of up and inside, else 0 (f already oriented as a correlation).
//
// A thread computes STRIP outputs below each other for VEC neighbouring channels, so a value that is loaded serves all
// outputs that need it. Neighbouring threads follow the memory: along x in NCHW, along the channels in NHWC.
#include "portable.h"

struct Shape { int channels, in_h, in_w, out_h, out_w; };
struct Strides { int64_t n, c, y, x; };  // in elements

// UP, DOWN, FH, FW: known to the compiler, or 0 = taken from the arguments.
template <class T, int UP, int DOWN, int FH, int FW, int STRIP, int VEC> struct Upfirdn {
    using A = typename Accumulate<T>::type;
    const T* x;
    const float* f;  // [fh, fw]
    T* y;
    Shape shape;
    Strides in, out;
    int upx_, upy_, downx_, downy_, fh_, fw_, padx0, pady0;
    bool flip, channels_last;
    A gain;

    LIFELIKE_HD void operator()(uint32_t index) const {
        const int upx = UP ? UP : upx_, upy = UP ? UP : upy_, downx = DOWN ? DOWN : downx_,
                  downy = DOWN ? DOWN : downy_, fh = FH ? FH : fh_, fw = FW ? FW : fw_;
        const uint32_t strips = (shape.out_h + STRIP - 1) / STRIP, packs = shape.channels / VEC;
        uint32_t c, ox, strip, n;
        if (channels_last) {
            c = index % packs * VEC, index /= packs;
            ox = index % shape.out_w, index /= shape.out_w;
            strip = index % strips, n = index / strips;
        } else {
            ox = index % shape.out_w, index /= shape.out_w;
            strip = index % strips, index /= strips;
            c = index % packs * VEC, n = index / packs;
        }
        const T* plane = x + n * in.n + c * in.c;
        const int oy0 = strip * STRIP;
        A sum[STRIP][VEC] = {};

        // First tap in x that meets a sample (not an inserted zero), and that sample's column.
        const int vx = int(ox) * downx - padx0, kx0 = ((-vx) % upx + upx) % upx, ix0 = (vx + kx0) / upx;
        const int vy0 = oy0 * downy - pady0;
        const int rows = (STRIP - 1) * downy + fh;  // up-sampled rows this strip reaches
        const int j0 = ((-vy0) % upy + upy) % upy;
        for (int j = j0; j < rows; j += upy) {
            const int iy = (vy0 + j) / upy;
            if (iy < 0 || iy >= shape.in_h) continue;
            const T* line = plane + iy * in.y;
            for (int kx = kx0, ix = ix0; kx < fw; kx += upx, ix++) {
                if (ix < 0 || ix >= shape.in_w) continue;
                const Pack<T, VEC> value = *reinterpret_cast<const Pack<T, VEC>*>(line + ix * in.x);
                LIFELIKE_UNROLL
                for (int s = 0; s < STRIP; s++) {
                    const int ky = j - s * downy;
                    if (ky < 0 || ky >= fh) continue;
                    const A tap = flip ? f[ky * fw + kx] : f[(fh - 1 - ky) * fw + fw - 1 - kx];
                    LIFELIKE_UNROLL
                    for (int k = 0; k < VEC; k++) sum[s][k] += tap * widen(value.at[k]);
                }
            }
        }
        T* to = y + n * out.n + c * out.c + ox * out.x;
        LIFELIKE_UNROLL
        for (int s = 0; s < STRIP; s++) {
            if (oy0 + s >= shape.out_h) break;
            Pack<T, VEC> result;
            LIFELIKE_UNROLL
            for (int k = 0; k < VEC; k++) result.at[k] = narrow<T>(sum[s][k] * gain);
            *reinterpret_cast<Pack<T, VEC>*>(to + (oy0 + s) * out.y) = result;
        }
    }
};

struct Arguments {
    const void *x, *f;
    void* y;
    int batch;
    Shape shape;
    Strides in, out;
    int upx, upy, downx, downy, fh, fw, padx0, pady0;
    bool flip, channels_last;
    double gain;
    void* stream;
};

template <class T, int UP, int DOWN, int FH, int FW, int STRIP, int VEC> const char* run(const Arguments& a) {
    using A = typename Accumulate<T>::type;
    Upfirdn<T, UP, DOWN, FH, FW, STRIP, VEC> body{
        (const T*)a.x, (const float*)a.f, (T*)a.y, a.shape, a.in, a.out, a.upx, a.upy, a.downx, a.downy, a.fh, a.fw,
        a.padx0, a.pady0, a.flip, a.channels_last, A(a.gain)};
    const int64_t strips = (a.shape.out_h + STRIP - 1) / STRIP;
    return launch(body, int64_t(a.batch) * (a.shape.channels / VEC) * strips * a.shape.out_w, a.stream);
}

template <class T, int VEC> const char* choose(const Arguments& a) {
    const bool square = a.upx == a.upy && a.downx == a.downy;
    if (square && a.fh == 4 && a.fw == 4) {  // the [1, 3, 3, 1] filter of every StyleGAN2 layer
        if (a.upx == 1 && a.downx == 1) return run<T, 1, 1, 4, 4, 4, VEC>(a);
        if (a.upx == 2 && a.downx == 1) return run<T, 2, 1, 4, 4, 4, VEC>(a);
        if (a.upx == 1 && a.downx == 2) return run<T, 1, 2, 4, 4, 2, VEC>(a);
    }
    return run<T, 0, 0, 0, 0, 1, VEC>(a);
}

// x [batch, channels, in_h, in_w] and y with the given strides, f float32 [fh, fw] dense. flip: correlate with f,
// else convolve. Sizes and padding as in upfirdn2d.py, which has checked them.
extern "C" const char* lifelike_upfirdn2d(int dtype, const void* x, const void* f, void* y, const int64_t* sizes,
                                          const int64_t* in_strides, const int64_t* out_strides, const int64_t* factors,
                                          int flip, double gain, void* stream) {
    Arguments a{x, f, y, int(sizes[0]),
                {int(sizes[1]), int(sizes[2]), int(sizes[3]), int(sizes[4]), int(sizes[5])},
                {in_strides[0], in_strides[1], in_strides[2], in_strides[3]},
                {out_strides[0], out_strides[1], out_strides[2], out_strides[3]},
                int(factors[0]), int(factors[1]), int(factors[2]), int(factors[3]), int(factors[4]), int(factors[5]),
                int(factors[6]), int(factors[7]), flip != 0, in_strides[1] == 1 && out_strides[1] == 1, gain, stream};
    return with_type(dtype, [&](auto zero) {
        using T = decltype(zero);
        constexpr int VEC = 16 / sizeof(T);
        const bool aligned = (uintptr_t(x) | uintptr_t(y)) % 16 == 0 && a.shape.channels % VEC == 0;
        const bool packed = a.in.n % VEC == 0 && a.in.y % VEC == 0 && a.in.x % VEC == 0 && a.out.n % VEC == 0 &&
                            a.out.y % VEC == 0 && a.out.x % VEC == 0;
        return a.channels_last && aligned && packed ? choose<T, VEC>(a) : choose<T, 1>(a);
    });
}
