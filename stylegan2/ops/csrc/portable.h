// One source for two compilers. nvcc makes CUDA kernels of it; a C++ compiler makes loops of the same per-thread code,
// so that the arithmetic of the kernels is tested where there is no GPU.
#pragma once
#include <cmath>
#include <cstdint>
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define LIFELIKE_HD __host__ __device__ __forceinline__
#else
#define LIFELIKE_HD inline
#endif
#if defined(__CUDA_ARCH__)
#define LIFELIKE_UNROLL _Pragma("unroll")
#else
#define LIFELIKE_UNROLL
#endif

enum Dtype { FLOAT32 = 0, FLOAT64 = 1, FLOAT16 = 2, BFLOAT16 = 3 };  // as in native.py

// What a type is computed in: double in double, everything else in float.
template <class T> struct Accumulate { using type = float; };
template <> struct Accumulate<double> { using type = double; };

template <class T> LIFELIKE_HD typename Accumulate<T>::type widen(T x) { return x; }
template <class T> LIFELIKE_HD T narrow(typename Accumulate<T>::type x) { return x; }
#ifdef __CUDACC__
template <> LIFELIKE_HD float widen<__half>(__half x) { return __half2float(x); }
template <> LIFELIKE_HD float widen<__nv_bfloat16>(__nv_bfloat16 x) { return __bfloat162float(x); }
template <> LIFELIKE_HD __half narrow<__half>(float x) { return __float2half(x); }
template <> LIFELIKE_HD __nv_bfloat16 narrow<__nv_bfloat16>(float x) { return __float2bfloat16(x); }
#endif

// VEC neighbouring values, moved with one access.
template <class T, int VEC> struct alignas(sizeof(T) * VEC) Pack { T at[VEC]; };

// Run body(index) for every index below `threads`; returns an error text or nullptr.
template <class Body>
#ifdef __CUDACC__
__global__ void __launch_bounds__(256) run_kernel(Body body, uint32_t threads) {
    uint32_t index = blockIdx.x * 256u + threadIdx.x;
    if (index < threads) body(index);
}
template <class Body>
const char* launch(const Body& body, int64_t threads, void* stream) {
    if (threads == 0) return nullptr;
    if (threads > INT32_MAX) return "the tensor is too large for one kernel";
    run_kernel<<<uint32_t((threads + 255) / 256), 256, 0, cudaStream_t(stream)>>>(body, uint32_t(threads));
    cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}
#else
const char* launch(const Body& body, int64_t threads, void*) {
    if (threads > INT32_MAX) return "the tensor is too large for one kernel";
    for (int64_t index = 0; index < threads; index++) body(uint32_t(index));
    return nullptr;
}
#endif

// Call `f` with a value of the C++ type that `dtype` names.
template <class F> const char* with_type(int dtype, F f) {
    switch (dtype) {
        case FLOAT32: return f(float());
        case FLOAT64: return f(double());
#ifdef __CUDACC__
        case FLOAT16: return f(__half());
        case BFLOAT16: return f(__nv_bfloat16());
#endif
    }
    return "no kernel for this type";
}
