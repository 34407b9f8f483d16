//! What `#[bulkhead]` may say.

use crate::parse::reader::Reader;
use syn::Expr;

/// The site arguments of `#[bulkhead]`.
pub(crate) struct Bulkhead {
    pub(crate) key: Option<Expr>,
}

impl Bulkhead {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        reader.count("max_concurrent", "16");
        reader.duration("max_wait", "250ms");
        reader.count("max_queue", "1_000");
        reader.count("max_keys", "10_000");
        reader.switch("enforce", "false");
        Self {
            key: reader.expression("key", "tenant"),
        }
    }
}
