//! No bytes make the log parser panic, and a glance at a line never sees what reading it in full does not.

#![no_main]

use evodoctor::requests::formats::{Format, Parser};
use evodoctor::requests::request::Asked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parser = Parser::of(Format::Any);
    for line in bytes.split(|&byte| byte == b'\n') {
        let glance = parser.glance(line);
        let Some(whole) = parser.parse(line) else {
            assert!(glance.is_none(), "a glance sees a request where there is none");
            continue;
        };
        let (_, _) = (whole.user_agent(), whole.router());
        if let Some(glance) = glance {
            assert_eq!(whole.asked, Asked::Path(glance.path.into()));
            assert_eq!((whole.status, whole.time), (glance.status, glance.time));
            assert_eq!((whole.method.as_deref(), whole.client.as_deref()), (glance.method, glance.client));
        }
    }
});
