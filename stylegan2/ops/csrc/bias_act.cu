// y = clamp(act(x + b) * gain), and its gradient with respect to x. Memory-bound: one pass, 16 bytes an access.
#include "portable.h"

enum Act { LINEAR, RELU, LRELU, TANH, SIGMOID, ELU, SELU, SOFTPLUS, SWISH };  // as in native.py

template <class A> struct Point { A value, slope; };  // act(t) and its derivative

// ACT >= 0: known to the compiler; -1: `act` decides.
template <int ACT, class A> LIFELIKE_HD Point<A> activation(int act, A t, A alpha) {
    const A one = 1;
    switch (ACT >= 0 ? ACT : act) {
        case LINEAR: return {t, one};
        case RELU: return t > 0 ? Point<A>{t, one} : Point<A>{A(0), A(0)};
        case LRELU: return t > 0 ? Point<A>{t, one} : Point<A>{t * alpha, alpha};
        case TANH: { A y = std::tanh(t); return {y, one - y * y}; }
        case SIGMOID: { A y = one / (one + std::exp(-t)); return {y, y * (one - y)}; }
        case ELU: return t > 0 ? Point<A>{t, one} : Point<A>{std::expm1(t), std::exp(t)};
        case SELU: {
            const A scale = 1.0507009873554805, a = 1.6732632423543772;
            if (t > 0) return {scale * t, scale};
            return {scale * a * std::expm1(t), scale * a * std::exp(t)};
        }
        case SOFTPLUS:
            if (t > 20) return {t, one};
            return {std::log1p(std::exp(t)), one / (one + std::exp(-t))};
        default: { A s = one / (one + std::exp(-t)); return {t * s, s + t * s * (one - s)}; }  // SWISH
    }
}

// Elements in memory order; the bias of element i is b[(i / step) % size].
template <class T, int ACT, bool GRADIENT, int VEC> struct BiasAct {
    using A = typename Accumulate<T>::type;
    const T *x, *b, *dy;  // b may be null; dy: gradient only
    T* out;
    int64_t step, size;
    int act;
    A alpha, gain, clamp;  // clamp < 0: off

    LIFELIKE_HD void operator()(uint32_t index) const {
        const int64_t first = int64_t(index) * VEC;
        int64_t within = 0, channel = 0;
        if (b) {
            within = first % step;
            channel = first / step % size;
        }
        const Pack<T, VEC> input = *reinterpret_cast<const Pack<T, VEC>*>(x + first);
        Pack<T, VEC> upstream, result;
        if (GRADIENT) upstream = *reinterpret_cast<const Pack<T, VEC>*>(dy + first);
        for (int k = 0; k < VEC; k++) {
            A t = widen(input.at[k]);
            if (b) {
                t += widen(b[channel]);
                if (++within == step) {
                    within = 0;
                    if (++channel == size) channel = 0;
                }
            }
            const Point<A> point = activation<ACT>(act, t, alpha);
            A y = point.value * gain;
            if (GRADIENT) {
                if ((ACT >= 0 ? ACT : act) <= LRELU) y = t;  // x holds the output, see below
                const bool clamped = clamp >= 0 && !(y > -clamp && y < clamp);
                y = clamped ? A(0) : widen(upstream.at[k]) * point.slope * gain;
            } else if (clamp >= 0) {
                y = y > clamp ? clamp : (y < -clamp ? -clamp : y);  // NaN stays NaN
            }
            result.at[k] = narrow<T>(y);
        }
        *reinterpret_cast<Pack<T, VEC>*>(out + first) = result;
    }
};

template <class T, int ACT, bool GRADIENT>
const char* run(const void* x, const void* b, const void* dy, void* out, int64_t n, int64_t step, int64_t size,
                int act, double alpha, double gain, double clamp, void* stream) {
    using A = typename Accumulate<T>::type;
    constexpr int VEC = 16 / sizeof(T);
    const uintptr_t addresses = uintptr_t(x) | uintptr_t(dy) | uintptr_t(out);
    if (n % VEC == 0 && addresses % 16 == 0) {
        BiasAct<T, ACT, GRADIENT, VEC> body{(const T*)x, (const T*)b, (const T*)dy, (T*)out, step, size, act, A(alpha),
                                            A(gain), A(clamp)};
        return launch(body, n / VEC, stream);
    }
    BiasAct<T, ACT, GRADIENT, 1> body{(const T*)x, (const T*)b, (const T*)dy, (T*)out, step, size, act, A(alpha),
                                      A(gain), A(clamp)};
    return launch(body, n, stream);
}

// dy null: out = clamp(act(x + b) * gain). Else out = dy * its derivative; for LINEAR, RELU and LRELU (gain > 0 and
// alpha >= 0) x is then the output of the forward pass and b null, since the output tells the sign and is kept anyway.
// All tensors dense, of one layout, n elements.
extern "C" const char* lifelike_bias_act(int dtype, const void* x, const void* b, const void* dy, void* out, int64_t n,
                                         int64_t step, int64_t size, int act, double alpha, double gain, double clamp,
                                         void* stream) {
    return with_type(dtype, [&](auto zero) {
        using T = decltype(zero);
#define LIFELIKE_RUN(ACT, GRADIENT) \
    run<T, ACT, GRADIENT>(x, b, dy, out, n, step, size, act, alpha, gain, clamp, stream)
        if (act == LINEAR) return dy ? LIFELIKE_RUN(LINEAR, true) : LIFELIKE_RUN(LINEAR, false);
        if (act == LRELU) return dy ? LIFELIKE_RUN(LRELU, true) : LIFELIKE_RUN(LRELU, false);
        return dy ? LIFELIKE_RUN(-1, true) : LIFELIKE_RUN(-1, false);
    });
}
