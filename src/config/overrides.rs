use super::document::Document;

/// What the command line says about the run; it goes before the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--listen ADDRESS`.
    pub listen: Option<String>,
    /// `--log-format FORMAT`.
    pub log_format: Option<String>,
}

impl Overrides {
    pub(super) fn lay_over(&self, document: &mut Document) {
        if let Some(listen) = &self.listen {
            document.set("--listen", "server", "listen", listen.as_str());
        }
        if let Some(format) = &self.log_format {
            document.set("--log-format", "log", "format", format.as_str());
        }
    }
}
