use sqlx::postgres::PgConnectOptions;
pub struct Target {
    pub options: PgConnectOptions,
    pub schema: Option<String>,
}
impl Target {
    pub fn host(&self) -> String {
        self.options.get_host().to_owned()
    }
}
