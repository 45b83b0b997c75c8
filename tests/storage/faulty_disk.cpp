// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/storage/faulty_disk.h"

#include <cerrno>
#include <cstddef>
#include <stdexcept>

#include <sqlite3.h>

namespace expertscope {

thread_local std::int64_t FaultyDisk::s_syncs = 0;

namespace {

FaultyDisk* theDisk = nullptr;
sqlite3_vfs* real = nullptr;

/// SQLite's file object of ours; the real one follows it in the same allocation.
struct File : sqlite3_file {
    sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
sqlite3_file* below(sqlite3_file* file) { return static_cast<File*>(file)->below(); }
const sqlite3_io_methods& methodsOf(sqlite3_file* file) { return *below(file)->pMethods; }

int closeFile(sqlite3_file* f) { return methodsOf(f).xClose(below(f)); }
int readFile(sqlite3_file* f, void* to, int size, sqlite3_int64 at) {
    if (theDisk->readsFail) return SQLITE_IOERR_READ;
    return methodsOf(f).xRead(below(f), to, size, at);
}
int writeFile(sqlite3_file* f, const void* from, int size, sqlite3_int64 at) {
    std::this_thread::sleep_for(theDisk->writeDelay.load());
    if (theDisk->writesFail) return SQLITE_IOERR_WRITE;
    if (theDisk->room >= 0) {
        sqlite3_int64 length = 0;
        methodsOf(f).xFileSize(below(f), &length);
        const sqlite3_int64 grows = at + size - length;
        if (grows > theDisk->room) return SQLITE_FULL;
        if (grows > 0) theDisk->room -= grows;
    }
    return methodsOf(f).xWrite(below(f), from, size, at);
}
int truncateFile(sqlite3_file* f, sqlite3_int64 size) { return methodsOf(f).xTruncate(below(f), size); }
int syncFile(sqlite3_file* f, int flags) {
    ++FaultyDisk::s_syncs;
    std::this_thread::sleep_for(theDisk->syncDelay.load());
    return methodsOf(f).xSync(below(f), flags);
}
int fileSize(sqlite3_file* f, sqlite3_int64* size) { return methodsOf(f).xFileSize(below(f), size); }
int lockFile(sqlite3_file* f, int level) { return methodsOf(f).xLock(below(f), level); }
int unlockFile(sqlite3_file* f, int level) { return methodsOf(f).xUnlock(below(f), level); }
int checkReserved(sqlite3_file* f, int* out) { return methodsOf(f).xCheckReservedLock(below(f), out); }
int control(sqlite3_file* f, int op, void* argument) { return methodsOf(f).xFileControl(below(f), op, argument); }
int sectorSize(sqlite3_file* f) { return methodsOf(f).xSectorSize(below(f)); }
int characteristics(sqlite3_file* f) { return methodsOf(f).xDeviceCharacteristics(below(f)); }
int shmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
    return methodsOf(f).xShmMap(below(f), page, size, extend, out);
}
int shmLock(sqlite3_file* f, int offset, int n, int flags) { return methodsOf(f).xShmLock(below(f), offset, n, flags); }
void shmBarrier(sqlite3_file* f) { methodsOf(f).xShmBarrier(below(f)); }
int shmUnmap(sqlite3_file* f, int remove) { return methodsOf(f).xShmUnmap(below(f), remove); }

/// Version 2: without xFetch, so that all reading goes through xRead.
const sqlite3_io_methods kMethods = {2,          closeFile,  readFile,        writeFile,  truncateFile,
                                     syncFile,   fileSize,   lockFile,        unlockFile, checkReserved,
                                     control,    sectorSize, characteristics, shmMap,     shmLock,
                                     shmBarrier, shmUnmap,   nullptr,         nullptr};

int openFile(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* outFlags) {
    file->pMethods = nullptr;
    const int code = real->xOpen(real, name, below(file), flags, outFlags);
    if (below(file)->pMethods != nullptr) file->pMethods = &kMethods;
    return code;
}

sqlite3_vfs faulty;

}  // namespace

FaultyDisk::FaultyDisk() {
    if (theDisk != nullptr) throw std::logic_error("there is one disk");
    theDisk = this;
    real = sqlite3_vfs_find(nullptr);
    faulty = *real;
    faulty.pNext = nullptr;
    faulty.zName = "faulty";
    faulty.szOsFile = static_cast<int>(sizeof(File)) + real->szOsFile;
    faulty.xOpen = openFile;
    // The other functions take no file; given the real VFS's own pAppData they work on it.
    sqlite3_vfs_register(&faulty, 1);
}

FaultyDisk::~FaultyDisk() {
    sqlite3_vfs_unregister(&faulty);
    sqlite3_vfs_register(real, 1);
    theDisk = nullptr;
}

}  // namespace expertscope
