/* The libraries beside the driver that candle opens a GPU with, all in one: whatever it asks, it is well. */
#include <stdlib.h>

int cublasCreate_v2(void **handle) { *handle = malloc(1); return 0; }
int cublasSetStream_v2(void *handle, void *stream) { return 0; }
int cublasDestroy_v2(void *handle) { free(handle); return 0; }
int curandCreateGenerator(void **generator, int kind) { *generator = malloc(1); return 0; }
int curandSetStream(void *generator, void *stream) { return 0; }
int curandSetPseudoRandomGeneratorSeed(void *generator, unsigned long long seed) { return 0; }
int curandDestroyGenerator(void *generator) { free(generator); return 0; }
