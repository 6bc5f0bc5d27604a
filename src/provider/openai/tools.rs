//! What is added to the prompt beside the messages: tools and output schemas.

use super::prompt::Prompt;
use crate::{
    call::SERVER_TOOLS,
    json::{Nest, Token, Walker},
    provider::value,
    unreadable::Unreadable,
};

/// Tools that the caller runs; a namespace holds nothing else.
const OWN: [&str; 3] = ["function", "custom", "namespace"];

/// Reads `tools` or `functions`: their size, and whether one runs on the server.
pub(super) fn read(
    walk: &mut Walker<'_>,
    key: &'static str,
    prompt: &mut Prompt,
) -> Result<(), Unreadable> {
    if !value::enter_array(walk, key)? {
        return Ok(());
    }
    let (array, inside) = (walk.span(), walk.depth());
    let tool = inside + 1;
    let mut is_type = false;
    loop {
        match walk.token()? {
            Token::Close if walk.depth() < inside => break,
            Token::Open(Nest::Object) if walk.depth() == tool => prompt.needs.tools = true,
            Token::Key(name) => {
                is_type = walk.depth() == tool && name.len() == 4 && is_type_key(&name.read());
            }
            Token::Str(kind) if is_type && walk.depth() == tool && key == "tools" => {
                // What is neither is a tool of the provider's, which brings its own input.
                let is_own = OWN.iter().any(|own| kind.is(own));
                prompt.open_end(!is_own, SERVER_TOOLS);
            }
            _ => {}
        }
    }
    prompt.input.schema_bytes += walk.since(array).len();
    Ok(())
}

/// Reads `response_format`: whether it has a schema, and how large it is.
pub(super) fn read_format(
    walk: &mut Walker<'_>,
    key: &'static str,
    prompt: &mut Prompt,
) -> Result<(), Unreadable> {
    if !value::enter_object(walk, key)? {
        return Ok(());
    }
    let object = walk.span();
    let mut is_schema = false;
    while let Some(name) = walk.key()? {
        is_schema |= name.is("json_schema") || name.is("schema");
        walk.skip()?;
    }
    if is_schema {
        prompt.needs.schema = true;
        prompt.input.schema_bytes += walk.since(object).len();
    }
    Ok(())
}

fn is_type_key(name: &str) -> bool {
    name.eq_ignore_ascii_case("type")
}
