// Runs one kernel of a generated harness: IN, OUT and the kernel's name. Reads numbers and buffers, and writes the buffers as
// the kernel leaves them, in the order of their names.

#include "main.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "machine.hpp"

static std::map<std::string, long long> numbers;
static std::map<std::string, std::pair<char*, size_t>> buffers;
long long number(const char* name) { return numbers.at(name); }
char* buffer(const char* name) { return buffers.at(name).first; }

static void get(void* to, size_t bytes, FILE* file) {
    if (fread(to, 1, bytes, file) != bytes) throw shim::Error("the input ends early");
}

static void read(const char* path) {
    FILE* file = fopen(path, "rb");
    if (!file) throw shim::Error(std::string(path) + " cannot be read");
    for (int kind; (kind = fgetc(file)) != EOF;) {
        std::string name((size_t)fgetc(file), ' ');
        long long value;
        get(&name[0], name.size(), file);
        get(&value, sizeof value, file);
        if (kind == 0) {
            numbers[name] = value;
        } else {
            char* bytes = (char*)aligned_alloc(256, ((size_t)value + 255) / 256 * 256);
            get(bytes, (size_t)value, file);
            buffers[name] = {bytes, (size_t)value};
        }
    }
    fclose(file);
}

static void write(const char* path) {
    FILE* file = fopen(path, "wb");
    if (!file) throw shim::Error(std::string(path) + " cannot be written");
    for (auto& [name, bytes] : buffers) fwrite(bytes.first, 1, bytes.second, file);
    if (fclose(file)) throw shim::Error(std::string(path) + " cannot be written");
}

int main(int, char** arguments) {
    try {
        read(arguments[1]);
        const Launcher* launcher = launchers;
        while (launcher->kernel && std::strcmp(launcher->kernel, arguments[3])) launcher++;
        if (!launcher->kernel) throw shim::Error(std::string(arguments[3]) + " is no kernel of this program");
        launcher->launch();
        write(arguments[2]);
    } catch (const std::exception& error) {
        fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
