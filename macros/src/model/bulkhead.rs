//! What `#[bulkhead]` may say.

use super::shared::shared;
use crate::parse::reader::Reader;
use syn::{Expr, Ident};

/// The site arguments of `#[bulkhead]`.
pub(crate) struct Bulkhead {
    pub(crate) key: Option<Expr>,
    /// What the body calls its fencing number.
    pub(crate) fence: Option<Ident>,
}

impl Bulkhead {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        reader.count("max_concurrent", "16");
        reader.duration("max_wait", "250ms");
        reader.count("max_queue", "1_000");
        reader.count("max_keys", "10_000");
        reader.switch("enforce", "false");
        shared(reader);
        reader.duration("lease", "10s");
        reader.count("instances", "4");
        Self {
            fence: reader.binding("fence", "n"),
            key: reader.expression("key", "tenant"),
        }
    }
}
