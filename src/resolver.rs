//! Keeps a statically linked glibc from loading libraries: only files and DNS are used, which are built in.
//!
//! By default it reads `/etc/nsswitch.conf` and loads the libraries that the file names (`libnss_resolve.so`,
//! `libnss_sss.so`, …) from the machine it runs on, built for another glibc than its own.

/// Has to be called before the first name is resolved, and before there is a second thread.
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

/// Does nothing: a dynamically linked program uses the system's glibc.
#[cfg(not(all(target_env = "gnu", target_feature = "crt-static")))]
pub fn settle() {}
