// Plain types and constants. No PTX here: device and host shim share this file.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

// Storage of one 16-bit float. Arithmetic happens in f32, after a conversion that names the format.
struct bf16 {
    u16 bits;
};
struct f16 {
    u16 bits;
};

// One 16-byte access: eight 16-bit elements or four words.
struct alignas(16) u32x4 {
    u32 x, y, z, w;
};
// One 8-byte access.
struct alignas(8) u32x2 {
    u32 x, y;
};

// Macros, because a namespace-scope constant would cost bytes of global memory in the module.
#define FLOAT_INF __int_as_float(0x7f800000)
#define FLOAT_NEG_INF __int_as_float(0xff800000)
#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f
#define WARP_SIZE 32
#define FULL_MASK 0xffffffffu
