// Kernels as an application would write them, compiled by nvcc for the simulator's tests (see README.md).
//
// Row-major matrices; one block a row in softmax and layer_norm; int8_gemm computes C = A B^T with 32 x 32 tiles.

#include <cuda_fp16.h>

/// z[i] = x[i] + y[i] for i < n; any grid.
extern "C" __global__ void vector_add(const float* __restrict__ x, const float* __restrict__ y, float* __restrict__ z,
                                      int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        z[i] = x[i] + y[i];
    }
}

struct Max {
    static constexpr float start = -INFINITY;
    static __device__ float combine(float a, float b) { return fmaxf(a, b); }
};

struct Sum {
    static constexpr float start = 0.0f;
    static __device__ float combine(float a, float b) { return a + b; }
};

/// The reduction of `value` over the block's threads, known to all of them. At most 1024 threads, whole warps.
template <typename Op>
__device__ float block_reduce(float value) {
    __shared__ float of_warp[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int step = 16; step > 0; step /= 2) value = Op::combine(value, __shfl_xor_sync(~0u, value, step));
    if (lane == 0) of_warp[warp] = value;
    __syncthreads();
    value = lane < blockDim.x / 32 ? of_warp[lane] : Op::start;
    for (int step = 16; step > 0; step /= 2) value = Op::combine(value, __shfl_xor_sync(~0u, value, step));
    // The next reduction writes of_warp again.
    __syncthreads();
    return value;
}

/// y = exp(x - max(x)) / sum(exp(x - max(x))), one row of `cols` elements a block.
extern "C" __global__ void softmax(const float* __restrict__ x, float* __restrict__ y, int cols) {
    const float* in = x + (size_t)blockIdx.x * cols;
    float* out = y + (size_t)blockIdx.x * cols;
    float most = -INFINITY;
    for (int i = threadIdx.x; i < cols; i += blockDim.x) most = fmaxf(most, in[i]);
    most = block_reduce<Max>(most);
    float sum = 0.0f;
    for (int i = threadIdx.x; i < cols; i += blockDim.x) sum += expf(in[i] - most);
    sum = block_reduce<Sum>(sum);
    for (int i = threadIdx.x; i < cols; i += blockDim.x) out[i] = expf(in[i] - most) / sum;
}

/// y = (x - mean) * rsqrt(variance + eps) * weight + bias, one row of `cols` f16 elements a block; `cols` even.
extern "C" __global__ void layer_norm(const __half2* __restrict__ x, const __half2* __restrict__ weight,
                                      const __half2* __restrict__ bias, __half2* __restrict__ y, int cols, float eps) {
    const int pairs = cols / 2;
    const __half2* in = x + (size_t)blockIdx.x * pairs;
    __half2* out = y + (size_t)blockIdx.x * pairs;
    float sum = 0.0f;
    for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
        const float2 pair = __half22float2(in[i]);
        sum += pair.x + pair.y;
    }
    const float mean = block_reduce<Sum>(sum) / cols;
    float squares = 0.0f;
    for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
        const float2 pair = __half22float2(in[i]);
        squares += (pair.x - mean) * (pair.x - mean) + (pair.y - mean) * (pair.y - mean);
    }
    const float scale = rsqrtf(block_reduce<Sum>(squares) / cols + eps);
    for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
        const float2 pair = __half22float2(in[i]);
        const __half2 normal = __floats2half2_rn((pair.x - mean) * scale, (pair.y - mean) * scale);
        out[i] = __hfma2(normal, weight[i], bias[i]);
    }
}

/// C[m][n] = sum over k of A[m][k] * B[n][k] in int32; k a multiple of 4, blocks of 32 x 8 threads, four rows a thread.
extern "C" __global__ void int8_gemm(const int* __restrict__ a, const int* __restrict__ b, int* __restrict__ c, int m,
                                     int n, int k) {
    // Four int8 in a word; one word more in a row keeps the banks apart.
    __shared__ int a_tile[32][9], b_tile[32][9];
    const int words = k / 4;
    const int row0 = blockIdx.y * 32, col0 = blockIdx.x * 32;
    const int thread = threadIdx.y * 32 + threadIdx.x;
    int sums[4] = {};
    for (int start = 0; start < words; start += 8) {
        const int row = thread / 8, word = thread % 8;
        const bool inside = start + word < words;
        a_tile[row][word] = inside && row0 + row < m ? a[(size_t)(row0 + row) * words + start + word] : 0;
        b_tile[row][word] = inside && col0 + row < n ? b[(size_t)(col0 + row) * words + start + word] : 0;
        __syncthreads();
#pragma unroll
        for (int word = 0; word < 8; word++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                sums[i] = __dp4a(a_tile[threadIdx.y + 8 * i][word], b_tile[threadIdx.x][word], sums[i]);
            }
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; i++) {
        const int row = row0 + threadIdx.y + 8 * i, col = col0 + threadIdx.x;
        if (row < m && col < n) c[(size_t)row * n + col] = sums[i];
    }
}
