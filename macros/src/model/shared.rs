//! What every attribute may say whose state can be shared between processes.

use super::setting::Choice;
use crate::parse::reader::Reader;

const ON_STORE_ERROR: Choice = Choice {
    of: "OnStoreError",
    words: &[("local", "Local"), ("allow", "Allow"), ("deny", "Deny")],
};

pub(crate) fn shared(reader: &mut Reader<'_>) {
    reader.flag_setting("shared");
    reader.choice("on_store_error", ON_STORE_ERROR);
}
