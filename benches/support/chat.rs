//! A chat as clients send it.

/// Its body, of about so many bytes.
pub fn chat(model: &str, bytes: usize) -> String {
    let turns = [
        (
            "user",
            "Our nightly import failed again. The log says: \\\"deadlock detected\\\".\\nWhat now?",
        ),
        (
            "assistant",
            "Two transactions waited for each other. Which tables does the import touch, and in what order?",
        ),
        (
            "user",
            "First `orders`, then `stock`; the web shop does it the other way round — müssen wir das ändern?",
        ),
    ];
    let system = r#"{"role":"system","content":"You are a patient assistant for the operators of a small shop."}"#;
    let mut messages = system.to_owned();
    for (role, text) in turns.iter().cycle() {
        if messages.len() + 200 > bytes {
            break;
        }
        messages.push_str(&format!(r#",{{"role":"{role}","content":"{text}"}}"#));
    }
    format!(
        r#"{{"model":"{model}","messages":[{messages}],"temperature":0.2,"max_tokens":800,"user":"u-4711"}}"#
    )
}
