//! What a statically linked glibc asks: files and DNS, which it has built in.
//!
//! Left alone it reads `/etc/nsswitch.conf` and loads what that names (`libnss_resolve.so`, `libnss_sss.so`, …) from the machine it
//! runs on, built for another glibc than its own.

/// Settles it; before the first name is looked up, and before there is a second thread.
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
pub fn settle() {
    use std::ffi::{CStr, c_char, c_int};

    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    const SOURCES: [(&CStr, &CStr); 4] =
        [(c"hosts", c"files dns"), (c"services", c"files"), (c"passwd", c"files"), (c"group", c"files")];
    for (database, services) in SOURCES {
        // SAFETY: both are C strings that live for ever, and nothing else runs yet. It refuses what it does not know, and then
        // all is as it was.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}

/// Nothing: this program takes the system's glibc with all that belongs to it.
#[cfg(not(all(target_env = "gnu", target_feature = "crt-static")))]
pub fn settle() {}
