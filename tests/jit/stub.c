/* A library that looks like NVRTC and does as the test that compiles it says:
 *   MAJOR, MINOR   its version
 *   FAIL, CODE     the function whose name is FAIL returns CODE
 *   OMIT_x         there is no function nvrtcx
 *   IMAGE          what it compiles everything to
 *   HUGE_SIZE      it announces an image that no machine has room for
 *   AFTER          so many programs are spared a failing function and a strange image
 *   BUILTINS       the name of a library that must be open before it compiles
 * The log repeats the options, one a line. A program that was not destroyed spoils the next one. */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#ifndef MAJOR
#define MAJOR 13
#define MINOR 0
#endif
#ifndef FAIL
#define FAIL ""
#define CODE 0
#endif
#define GOOD "\177ELF stub"
#ifndef IMAGE
#define IMAGE GOOD
#endif
#ifndef AFTER
#define AFTER 0
#endif
#define SPARED (ended < AFTER)
#define FAILING(name) if (!SPARED && strcmp(FAIL, name) == 0) return CODE

static int ended;
static __thread int live; /* programs are compiled side by side, each on a thread of its own */
static __thread char text[4096];

#ifndef OMIT_Version
int nvrtcVersion(int *major, int *minor) {
    FAILING("nvrtcVersion");
    *major = MAJOR;
    *minor = MINOR;
    return 0;
}
#endif
#ifndef OMIT_GetErrorString
const char *nvrtcGetErrorString(int code) { return code == 99 ? NULL : "STUB_ERROR"; }
#endif
#ifndef OMIT_GetNumSupportedArchs
int nvrtcGetNumSupportedArchs(int *count) {
    FAILING("nvrtcGetNumSupportedArchs");
    *count = 2;
    return 0;
}
#endif
#ifndef OMIT_GetSupportedArchs
int nvrtcGetSupportedArchs(int *archs) {
    FAILING("nvrtcGetSupportedArchs");
    archs[0] = 80;
    archs[1] = 90;
    return 0;
}
#endif
#ifndef OMIT_CreateProgram
int nvrtcCreateProgram(void **program, const char *source, const char *name, int headers, const char **texts,
                       const char **names) {
    (void)source, (void)name, (void)headers, (void)texts, (void)names;
    FAILING("nvrtcCreateProgram");
    if (live++) return 98;
    *program = &live;
    return 0;
}
#endif
#ifndef OMIT_CompileProgram
int nvrtcCompileProgram(void *program, int count, const char **options) {
    (void)program;
    text[0] = 0;
    for (int i = 0; i < count; ++i) strcat(strcat(text, options[i]), "\n");
    FAILING("nvrtcCompileProgram");
#ifdef BUILTINS
    if (!dlopen(BUILTINS, RTLD_NOW)) return 7;
#endif
    return 0;
}
#endif
#ifndef OMIT_GetProgramLogSize
int nvrtcGetProgramLogSize(void *program, size_t *size) {
    (void)program;
    FAILING("nvrtcGetProgramLogSize");
    *size = strlen(text) + 1;
    return 0;
}
#endif
#ifndef OMIT_GetProgramLog
int nvrtcGetProgramLog(void *program, char *log) {
    (void)program;
    FAILING("nvrtcGetProgramLog");
    strcpy(log, text);
    return 0;
}
#endif
#ifndef OMIT_GetCUBINSize
int nvrtcGetCUBINSize(void *program, size_t *size) {
    (void)program;
    FAILING("nvrtcGetCUBINSize");
    *size = SPARED ? sizeof(GOOD) - 1 : sizeof(IMAGE) - 1;
#ifdef HUGE_SIZE
    if (!SPARED) *size = (size_t)-1 / 2;
#endif
    return 0;
}
#endif
#ifndef OMIT_GetCUBIN
int nvrtcGetCUBIN(void *program, char *cubin) {
    (void)program;
    FAILING("nvrtcGetCUBIN");
    memcpy(cubin, SPARED ? GOOD : IMAGE, SPARED ? sizeof(GOOD) - 1 : sizeof(IMAGE) - 1);
    return 0;
}
#endif
#ifndef OMIT_DestroyProgram
int nvrtcDestroyProgram(void **program) {
    live = 0;
    *program = NULL;
    ++ended;
    FAILING("nvrtcDestroyProgram");
    return 0;
}
#endif
