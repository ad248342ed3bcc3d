//! Code that several commands share: connecting, options, reports, cancellation.

pub mod apply;
pub mod apply_config;
pub mod cancellation;
pub mod code_filter;
pub mod connect;
pub mod emit_report;
pub mod evolution_settings;
pub mod liveness;
pub mod load_instances;
pub mod read_logs;
pub mod resolve_target;
pub mod server_load;
pub mod trusted_hosts;
pub mod validate_options;
