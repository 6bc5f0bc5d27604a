//! Tools: their size, and whether one runs on the server.

use super::{
    facts::Facts,
    keys::{Key, Spellings, TOOL},
};
use crate::{json::Walker, provider::value, unreadable::Unreadable};

/// Reads `tools`.
pub(super) fn read(
    walk: &mut Walker<'_>,
    key: &'static str,
    facts: &mut Facts,
) -> Result<(), Unreadable> {
    value::each(walk, key, |walk| {
        let mut spellings = Spellings::new(TOOL);
        while let Some(key) = walk.key()? {
            let key = spellings.find(key)?;
            let Some(bytes) = value::bytes(walk)? else { continue };
            facts.needs.tools = true;
            facts.input.schema_bytes += bytes;
            match key {
                Some((_, Key::FunctionDeclarations)) => {}
                Some((_, Key::Search)) => {
                    facts.searches = 1;
                    facts.open_end(true, "server tools");
                }
                // A tool that is not known brings its own input as well.
                _ => facts.open_end(true, "server tools"),
            }
        }
        Ok(())
    })?;
    Ok(())
}
